//! Whatever is configured: either it is a configuration, and what `check --print` says of it is the same one, or each
//! mistake stands at a place in the file or in the environment.

#![no_main]

#[path = "../../tests/it/any_configuration/model.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| model::read(&String::from_utf8_lossy(data)));
