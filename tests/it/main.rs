//! The integration tests, one binary. Each module says at its head what it is about.

mod route_model;
