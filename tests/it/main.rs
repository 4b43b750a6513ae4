//! The integration tests, one binary. Each module says at its head what it is about.

#![allow(clippy::unwrap_used, reason = "clippy sees only functions marked as tests as tests")]

mod alerts;
mod any_call;
mod any_configuration;
mod any_connection;
mod backends;
mod chromium;
mod commands;
mod configuration;
mod dashboards;
mod differential;
mod failures;
mod faults;
mod headers;
mod http2;
mod keygen;
mod layering;
mod ledger;
mod lifecycle;
mod limits;
mod listener_tls;
mod local;
mod logs;
mod memory;
mod page;
mod peer;
mod proxy;
mod readme;
mod resend;
mod rewrite;
mod route_model;
mod sandbox;
mod soak;
mod strict;
mod support;
mod tls;
mod tokens_inspect;
mod tokens_issued;
mod traces;
mod usage;
