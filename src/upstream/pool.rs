//! Idle connections to one server, last in first out and a shelf for each thread: a connection is used by the thread
//! that opened it, so nothing is shared, and the lock is never waited for. Connections that come from a client's own
//! address serve that client only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::connect::Connection;
use crate::{thread, timer};

/// How many shelves there are; threads beyond that share one.
const SHELVES: usize = 64;
/// How many idle connections from our own address a shelf keeps.
const DEPTH: usize = 256;
/// How many from clients' addresses, of all clients together.
const CLIENTS: usize = 1024;

/// A connection is moved in and out for each request: a pointer is cheaper than the whole of it.
type Stack = Vec<Box<Connection>>;

/// The idle connections of all threads.
pub(super) struct Pool([Mutex<Shelf>; SHELVES]);

#[derive(Default)]
struct Shelf {
    own: Stack,
    of_clients: HashMap<IpAddr, Stack>,
    /// How many connections there are in `of_clients`.
    count: usize,
}

impl Pool {
    pub fn new() -> Self {
        Pool(std::array::from_fn(|_| Mutex::default()))
    }

    /// The connection of this thread, from this client's address if it says so, that was used last and is still good.
    pub fn take(&self, from: Option<IpAddr>, idle_timeout: u64) -> Option<Box<Connection>> {
        let now = timer::now();
        loop {
            let mut connection = self.here().pop(from)?;
            if is_good(&mut connection, now, idle_timeout) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request of this thread, if there is room.
    pub fn put(&self, mut connection: Box<Connection>) {
        connection.idle_since = timer::now();
        connection.deadline.clear();
        self.here().push(connection);
    }

    /// Drops the connections that have idled long enough, of all threads.
    pub fn reap(&self, idle_timeout: u64) {
        let now = timer::now();
        for shelf in &self.0 {
            lock(shelf).retain(|connection| is_good(connection, now, idle_timeout));
        }
    }

    /// Drops all connections.
    pub fn clear(&self) {
        self.0.iter().for_each(|shelf| lock(shelf).retain(|_| false));
    }

    /// Drops one connection, of whatever thread, to make room; says whether there was one.
    pub fn evict(&self) -> bool {
        let first = thread::number() % SHELVES;
        let mut shelves = self.0.iter().skip(first).chain(&self.0[..first]);
        // Dropped after the lock is let go.
        shelves.find_map(|shelf| lock(shelf).pop_any()).is_some()
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|shelf| {
            let shelf = lock(shelf);
            shelf.own.is_empty() && shelf.count == 0
        })
    }

    fn here(&self) -> MutexGuard<'_, Shelf> {
        lock(&self.0[thread::number() % SHELVES])
    }
}

impl Shelf {
    fn pop(&mut self, from: Option<IpAddr>) -> Option<Box<Connection>> {
        let Some(client) = from else { return self.own.pop() };
        let stack = self.of_clients.get_mut(&client)?;
        let connection = stack.pop();
        if stack.is_empty() {
            self.of_clients.remove(&client);
        }
        self.count -= usize::from(connection.is_some());
        connection
    }

    fn push(&mut self, connection: Box<Connection>) {
        match connection.from {
            None if self.own.len() < DEPTH => self.own.push(connection),
            Some(client) if self.count < CLIENTS => {
                self.count += 1;
                self.of_clients.entry(client).or_default().push(connection);
            }
            _ => {}
        }
    }

    fn pop_any(&mut self) -> Option<Box<Connection>> {
        let client = self.of_clients.keys().next().copied();
        self.own.pop().or_else(|| self.pop(Some(client?)))
    }

    fn retain(&mut self, mut is_good: impl FnMut(&mut Connection) -> bool) {
        self.own.retain_mut(|connection| is_good(connection));
        self.of_clients.retain(|_, stack| {
            stack.retain_mut(|connection| is_good(connection));
            !stack.is_empty()
        });
        self.count = self.of_clients.values().map(Vec::len).sum();
    }
}

fn is_good(connection: &mut Connection, now: u64, idle_timeout: u64) -> bool {
    now.saturating_sub(connection.idle_since) < idle_timeout && connection.is_quiet()
}

/// A panic elsewhere leaves connections that are still good.
fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
