//! Whatever a client sends through the listener and the pipeline: the backend never gets a request that could be
//! understood differently, nor more of them than are answered; what the client gets are well-formed answers; and its
//! connection waits for more, or ends.

#![no_main]

#[path = "../../tests/it/any_connection/model.rs"]
mod model;

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static WORLD: LazyCell<model::World> = const { LazyCell::new(model::World::new) };
}

fuzz_target!(|data: &[u8]| WORLD.with(|world| world.converse(data, model::Delivery::of(data.len()))));
