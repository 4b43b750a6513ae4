//! The pages of the admin listener and `/api/usage`: the same numbers as the report, whatever callers name themselves, in
//! a real browser.

mod html;
mod looks;
mod names;
mod numbers;
mod pasting;
mod scene;
