//! The integration tests, one binary. Each module says at its head what it is about.

mod dashboards;
mod layering;
mod route_model;
mod tokens_inspect;
