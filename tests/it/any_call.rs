//! Whatever is asked of a rewritten operation, and whatever the backend answers: nothing panics, nothing of the call is
//! reflected unescaped, no secret leaves, and a call that was not served is there as it came.

mod model;

use proptest::prelude::*;

#[test]
fn any_call_against_any_backend_is_answered_without_harm() {
    let world = model::World::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2000));
    let data = proptest::collection::vec(any::<u8>(), 0..60);
    runner
        .run(&data, |data| {
            world.call(&data);
            Ok(())
        })
        .unwrap();
}
