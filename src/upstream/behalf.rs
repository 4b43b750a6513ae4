//! On whose behalf a request is made, where connections come from the client's own address. It is a property of the task
//! and not an argument, since the modes ask the backend many things for one call, in several places and tasks.

use std::future::Future;
use std::net::IpAddr;

use crate::trace;

tokio::task_local! {
    static CLIENT: IpAddr;
}

/// Does this on behalf of the client of this address: with `upstream.source = "client"`, what it asks the backend comes
/// from there.
pub async fn on_behalf<T>(client: IpAddr, work: impl Future<Output = T>) -> T {
    CLIENT.scope(client.to_canonical(), work).await
}

/// The same in a task of its own: what is made here and spawned goes on on behalf of the same client, and in the same
/// trace.
pub fn kept<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let (client, work) = (client(), trace::carried(work));
    async move {
        match client {
            Some(client) => on_behalf(client, work).await,
            None => work.await,
        }
    }
}

/// On whose behalf.
pub(super) fn client() -> Option<IpAddr> {
    CLIENT.try_with(|client| *client).ok()
}
