//! Duskgate: a reverse proxy that keeps a deprecated REST route working while its callers move off it.
//!
//! The path of a request:
//!
//! 1. [`listen`] reads one strict request, of HTTP/1.1 or HTTP/2, from a socket and knows who the peer is.
//! 2. [`pipeline`] asks [`route`] which deprecated operation it is; most are none and go straight to [`upstream`].
//! 3. [`policy`] says what should happen to this call now.
//! 4. [`serve`] does it, in one of the modes, through [`upstream`] and with answers from [`reply`].
//! 5. [`policy::headers`] dresses the answer, [`metrics`] counts it, and [`usage`] remembers who called.
//!
//! The modules below stand in reading order, top storey to bottom: a room uses only rooms further down
//! (`tests/it/layering.rs` holds them to it).
//!
//! Glossary, which is law in names and comments:
//!
//! - *operation*: one REST call (method and path template), here one that is deprecated
//! - *consumer*: who calls, as a bounded, non-secret name
//! - *upstream*: the backend, Onezone
//! - *schedule*: when an operation was deprecated and when it ends
//! - *phase*: where an operation stands in its schedule now
//! - *mode*: how a call of an operation is served
//! - *verdict*: what policy decided for one call
//! - *outcome*: what happened to it
//! - *reply*: an answer written by us; *response*: an answer from anyone
//! - *head*: a message's start line and header fields

pub mod cli;
pub mod app;
pub mod config;
pub mod admin;
pub mod sandbox;
pub mod pipeline;
pub mod serve;
pub mod usage;
pub mod policy;
pub mod route;
pub mod upstream;
pub mod ledger;
pub mod admission;
pub mod listen;
pub mod log;
pub mod reply;
pub mod caller;
pub mod token;
pub mod trace;
pub mod metrics;
pub mod operation;
pub mod http1;
pub mod certificate;
pub mod timer;
pub mod escape;
pub mod thread;
pub mod clock;
pub mod body;
