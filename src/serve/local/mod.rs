//! Mode `local`: invite tokens from our own token module, for a backend that cannot serve the newer API or must not be
//! asked. It issues them, redeems them on the joins, and answers what is asked about them; every request about a token
//! of somebody else passes to the backend as it came. What a caller may do is the backend's to say.

mod asking;
mod attempt;
mod caveats;
mod control;
mod ending;
mod inspect;
mod invitation;
mod issue;
mod ledgered;
mod names;
mod peek;
mod recovery;
mod redeem;
pub mod redemption;
mod rights;
mod turns;
mod verify;
mod watch;

use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use crate::body::Body;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::ledger::Store;
use crate::metrics::{Issuing, Metrics};
use crate::operation::Operation;
use crate::reply;
use crate::route::{Call, Table};
use crate::serve::rewrite::payload::Payload;
use crate::serve::rewrite::{TokenApi, idempotency, target};
use crate::token::keys::KeyRing;
use crate::upstream::Upstream;
use asking::{Asking, Stop};
use invitation::Invitation;
use issue::Issuance;
use ledgered::Unwanted;
pub use recovery::Leftovers;
use turns::Turns;
use watch::What;
pub use watch::{Task, Watched, watched};

/// What an operator can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Onezone domain, without scheme or port; it goes into the tokens and into `Location`.
    pub domain: String,
    /// The keys that issue and verify.
    pub keys: Arc<KeyRing>,
}

/// The token module. Clones share all of it.
#[derive(Clone)]
pub struct Local(Arc<Shared>);

struct Shared {
    settings: Settings,
    /// The backend, the names of its targets, and calls that may be repeated.
    api: TokenApi,
    ledger: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// The redemptions under way.
    turns: Turns,
    /// The routes on which our tokens may arrive, each with what is done there.
    routes: Table,
    tasks: Vec<What>,
    /// What is still to be taken out of the ledger.
    unwanted: Arc<Mutex<Vec<Unwanted>>>,
    /// The issuers whose tokens are still to be ended, all of them.
    ending: Arc<Mutex<Vec<String>>>,
}

impl Local {
    /// The token module over these rooms. It does what is still to be done for the one before it.
    pub fn new(
        before: Option<&Local>,
        settings: Settings,
        api: TokenApi,
        ledger: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let (routes, tasks) = watch::table();
        Local(Arc::new(Shared {
            settings,
            api,
            ledger,
            metrics,
            clock,
            turns: Turns::default(),
            routes,
            tasks,
            unwanted: before.map(|before| Arc::clone(&before.0.unwanted)).unwrap_or_default(),
            ending: before.map(|before| Arc::clone(&before.0.ending)).unwrap_or_default(),
        }))
    }

    /// Serves a call of an operation that issues invitations. The request's fields are those that may be passed on.
    pub async fn serve(
        &self,
        operation: &Operation,
        call: &Call,
        caller: &Caller,
        now: Timestamp,
        request: Request<Body>,
    ) -> Response<Body> {
        let (Some(invite), Some(invitation)) = (&operation.invite, invitation_of(operation)) else {
            // No other operation is configured to be served here.
            return reply::failure(&reply::Failure::Internal, false);
        };
        let (parts, body) = request.into_parts();
        let own = parts.uri.path_and_query().map_or("", |own| own.as_str());
        let payload = Payload::read(&parts.headers, body).await;
        let asking = Asking::new(self, caller, own, &parts.headers);
        let issuance = Issuance { asking, operation, invite, invitation, call, payload, now };
        match issuance.answer(&parts.headers).await {
            Ok(response) => response,
            Err(stop) => {
                let outcome = match stop {
                    Stop::Reply(_) => Issuing::Refused,
                    Stop::Failed(_) => Issuing::Failed,
                };
                self.metrics().token_issued(&operation.id, outcome);
                stop.into_response(reply::wants_problem(&parts.headers))
            }
        }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Arc<dyn Store> {
        &self.0.ledger
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn keys(&self) -> &KeyRing {
        &self.0.settings.keys
    }

    fn upstream(&self) -> &Upstream {
        self.0.api.upstream()
    }

    fn names(&self) -> &target::Names {
        self.0.api.names()
    }

    fn replies(&self) -> &idempotency::Replies {
        self.0.api.replies()
    }

    fn turns(&self) -> &Turns {
        &self.0.turns
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// A place that the end of the program waits for.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.api.place()
    }
}

fn invitation_of(operation: &Operation) -> Option<&'static Invitation> {
    Invitation::named(&operation.invite.as_ref()?.kind)
}

/// 201 as Onezone answers a join: no body, and where the member sees what it joined.
fn created(domain: &str, path: &str) -> Response<Body> {
    let mut response = reply::empty_on_route(StatusCode::CREATED);
    if let Ok(location) = http::HeaderValue::from_str(&format!("https://{domain}{path}")) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    response
}
