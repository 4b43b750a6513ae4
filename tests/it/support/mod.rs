//! What tests share. Not every test uses all of it.

pub mod backend;
pub mod http;
pub mod nginx;
pub mod program;
pub mod proxy;
pub mod scrape;

/// Runs a test's future to its end.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
