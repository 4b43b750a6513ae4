//! What tests share. Not every test uses all of it.

pub mod authority;
pub mod backend;
pub mod browser;
pub mod collector;
pub mod cutter;
pub mod disk;
pub mod http;
pub mod load;
pub mod nginx;
pub mod postgres;
pub mod program;
pub mod promql;
pub mod proxy;
pub mod relay;
pub mod scrape;
