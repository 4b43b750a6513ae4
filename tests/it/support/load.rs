//! Constant load: new connections and kept ones, with and without a body, until it is stopped. What fails is remembered.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};

use super::http::{Connection, Request};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Default)]
pub struct Tally {
    /// Requests that were answered as they should be.
    pub answered: Cell<usize>,
    /// Kept connections that were told that they end.
    pub told: Cell<usize>,
    pub failed: RefCell<Vec<String>>,
    is_over: Cell<bool>,
}

impl Tally {
    /// Waits until so many requests more were answered.
    pub async fn more(&self, count: usize) {
        let wanted = self.answered.get() + count;
        while self.answered.get() < wanted && self.failed.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends the load; requests under way are still waited for.
    pub fn stop(&self) {
        self.is_over.set(true);
    }
}

/// Runs `test` under load on `address`, and returns what came of it.
pub async fn under_load(address: SocketAddr, test: impl AsyncFnOnce(Rc<Tally>)) -> Rc<Tally> {
    let tally = Rc::new(Tally::default());
    let local = LocalSet::new();
    let ran = local.run_until(async {
        let mut clients = JoinSet::new();
        let get = Request::new("GET", "/some");
        let post = Request::new("POST", "/other").json("{\"a\":1}");
        for request in [get, post] {
            for keeps in [true, true, false] {
                clients.spawn_local(client(address, request.clone(), keeps, Rc::clone(&tally)));
            }
        }
        test(Rc::clone(&tally)).await;
        tally.stop();
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
    });
    ran.await;
    tally
}

async fn client(address: SocketAddr, request: Request, keeps: bool, tally: Rc<Tally>) {
    let mut kept: Option<Connection> = None;
    while !tally.is_over.get() {
        let is_new = kept.is_none();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match Connection::try_to(address).await {
                Ok(connection) => connection,
                Err(error) => return tally.failed.borrow_mut().push(format!("cannot connect: {error}")),
            },
        };
        connection.write(&request.to_bytes()).await;
        match tokio::time::timeout(PATIENCE, connection.response(&request.method)).await {
            Ok(Some(response)) if response.status == 200 => {
                tally.answered.set(tally.answered.get() + 1);
                if response.header("connection") == Some("close") {
                    tally.told.set(tally.told.get() + 1);
                } else if keeps {
                    kept = Some(connection);
                }
            }
            answer => {
                let method = &request.method;
                let text = format!("{method} on a connection that is new: {is_new}: {answer:?}");
                return tally.failed.borrow_mut().push(text);
            }
        }
        tokio::task::yield_now().await;
    }
}
