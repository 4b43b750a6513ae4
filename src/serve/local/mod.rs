//! The mode `local`: invite tokens from our own token module.
//!
//! So far the core of it, which decides what a redemption does next. It knows neither HTTP nor the ledger.

pub mod redemption;
