use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;

use super::*;
use crate::body::{Body, Broken};
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

const MOMENT: Duration = Duration::from_millis(50);

/// Waits for the body, which does not come, until the place is given back.
async fn wait_in_vain(admission: &Admission, body: &mut Body) {
    while admission.in_flight() == 1 {
        let _ = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
    }
}

#[tokio::test]
async fn a_request_holds_no_place_while_it_waits_for_its_body_and_takes_one_when_it_is_complete() {
    let admission = admission(1, 0, LONG);
    let (client, mut body) = slowly(1);
    let held = admission.try_enter().unwrap().while_arriving_within(MOMENT, &mut body);
    assert_eq!(admission.in_flight(), 1);
    wait_in_vain(&admission, &mut body).await;
    client.send(()).await.unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(admission.in_flight(), 1, "it is complete and holds no place");
    drop(held);
    assert_eq!(admission.in_flight(), 0);
}

#[tokio::test]
async fn short_waits_for_a_body_count_together() {
    let admission = admission(1, 0, LONG);
    let (client, mut body) = slowly(usize::MAX);
    let _held = admission.try_enter().unwrap().while_arriving_within(MOMENT, &mut body);
    for _ in 0..20 {
        assert!(tokio::time::timeout(MOMENT / 10, body.frame()).await.is_err());
        client.send(()).await.unwrap();
        body.frame().await.unwrap().unwrap();
    }
    assert_eq!(admission.in_flight(), 0);
}

#[tokio::test]
async fn a_body_that_is_complete_after_the_answer_or_when_all_places_are_taken_takes_none() {
    let admission = admission(1, 0, LONG);
    for is_answered in [true, false] {
        let (client, mut body) = slowly(1);
        let held = admission.try_enter().unwrap().while_arriving_within(MOMENT, &mut body);
        wait_in_vain(&admission, &mut body).await;
        let held = (!is_answered).then_some(held);
        let other = (!is_answered).then(|| admission.try_enter().unwrap());
        client.send(()).await.unwrap();
        body.frame().await.unwrap().unwrap();
        drop(other);
        assert_eq!(admission.in_flight(), 0);
        drop(held);
    }
    let mut body = Body::full("all there");
    let held = admission.try_enter().unwrap().while_arriving(&mut body);
    drop(body);
    assert_eq!(admission.in_flight(), 1);
    drop(held);
    assert_eq!(admission.in_flight(), 0);
}

/// A body of so many frames, each of which comes when it is sent for.
fn slowly(frames: usize) -> (tokio::sync::mpsc::Sender<()>, Body) {
    let (client, frames_come) = tokio::sync::mpsc::channel(1);
    (client, Body::stream(Slow { frames_come, left: frames }))
}

struct Slow {
    frames_come: tokio::sync::mpsc::Receiver<()>,
    left: usize,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.frames_come.poll_recv(context).map(|come| {
            self.left -= 1;
            come.map(|()| Ok(Frame::data(Bytes::from_static(b"x"))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}
