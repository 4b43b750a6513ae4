use super::*;
use crate::clock::Clock;
use crate::metrics::Vocabulary;

fn admission(concurrent_requests: usize, queue: usize, queue_wait: Duration) -> Admission {
    let words = Vocabulary { limits: &LIMITS, ..Vocabulary::default() };
    let metrics = Arc::new(Metrics::new(Clock::Real, &[], words));
    Admission::new(Settings { concurrent_requests, queue, queue_wait }, metrics)
}

fn hits(admission: &Admission) -> [u64; 3] {
    let text = admission.metrics.render();
    LIMITS.map(|limit| {
        let series = format!("duskgate_limit_hits_total{{limit=\"{limit}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
    })
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_place_that_becomes_free_goes_to_who_has_waited_longest() {
    let admission = Arc::new(admission(1, 2, LONG));
    let place = admission.try_enter().unwrap();
    let wait = || {
        let admission = Arc::clone(&admission);
        tokio::spawn(async move { admission.wait().await.unwrap() })
    };
    let first = wait();
    while admission.queued() < 1 {
        tokio::task::yield_now().await;
    }
    let second = wait();
    while admission.queued() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!((admission.in_flight(), admission.queued()), (1, 2));
    assert_eq!(admission.wait().await.unwrap_err(), Overloaded { retry_after: 3600 });

    drop(place);
    assert!(admission.try_enter().is_none(), "it jumped the queue");
    let place = first.await.unwrap();
    assert!(!second.is_finished());
    drop(place);
    second.await.unwrap();
    assert_eq!((admission.in_flight(), admission.queued()), (0, 0));
    assert_eq!(hits(&admission), [3, 1, 0]);
}

#[tokio::test]
async fn nobody_waits_longer_than_allowed_and_who_goes_away_leaves_the_queue() {
    let admission = admission(1, 5, Duration::from_millis(5));
    let _place = admission.try_enter().unwrap();
    assert_eq!(admission.wait().await.unwrap_err(), Overloaded { retry_after: 1 });
    assert_eq!((admission.queued(), hits(&admission)), (0, [1, 0, 1]));
    {
        let mut waiting = std::pin::pin!(admission.wait());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert_eq!(admission.queued(), 1);
    }
    assert_eq!(admission.queued(), 0);
}

#[tokio::test]
async fn a_change_of_limits_holds_for_who_comes_then() {
    let admission = admission(1, 0, LONG);
    let before = admission.try_enter().unwrap();
    let mut settings = admission.hall.load().settings.clone();
    settings.queue = 7;
    admission.configure(settings.clone());
    assert!(admission.try_enter().is_none(), "the place was forgotten");
    settings.concurrent_requests = 2;
    admission.configure(settings);
    let after = [admission.try_enter().unwrap(), admission.try_enter().unwrap()];
    assert!(admission.try_enter().is_none());
    drop(before);
    assert!(admission.try_enter().is_none(), "a place of old became a new one");
    drop(after);
    assert_eq!(admission.in_flight(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_gives_the_place_back() {
    struct Never;
    impl http_body::Body for Never {
        type Data = bytes::Bytes;
        type Error = crate::body::Broken;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, crate::body::Broken>>> {
            std::task::Poll::Pending
        }
    }
    use crate::body::Body;
    use http_body_util::BodyExt as _;

    let admission = admission(1, 0, LONG);
    let mut body = Body::stream(Never);
    let held = admission.try_enter().unwrap().while_arriving_within(Duration::from_millis(5), &mut body);
    assert_eq!(admission.in_flight(), 1);
    while admission.in_flight() == 1 {
        let _ = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
    }
    drop(held);
    assert_eq!(admission.in_flight(), 0);

    let mut body = Body::full("all there");
    let held = admission.try_enter().unwrap().while_arriving(&mut body);
    drop(body);
    assert_eq!(admission.in_flight(), 1);
    drop(held);
    assert_eq!(admission.in_flight(), 0);
}
