//! Whatever is asked of a rewritten operation and whatever the backend answers: nothing panics, nothing of the call is
//! reflected unescaped, no secret leaves, and a call that was not served is there as it came.

#![no_main]

#[path = "../../tests/it/any_call/model.rs"]
mod model;

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static WORLD: LazyCell<model::World> = const { LazyCell::new(model::World::new) };
}

fuzz_target!(|data: &[u8]| WORLD.with(|world| world.call(data)));
