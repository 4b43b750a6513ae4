//! `duskgate tokens list`, `show` and `revoke`: the ledger of the tokens that were issued here, with the running proxy or
//! without it. There is no token in it that could be shown, only what is known of each.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use crate::cli::configuration::Source;
use crate::cli::table::table;
use crate::cli::{NO, block_on, print};
use crate::clock::Clock;
use crate::escape::visible;
use crate::ledger::{self, Away, Create, Filter, Issued, Page, State, Store, USAGE_LIMIT, Usage};

/// What `tokens list` is given.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  duskgate tokens list --state unused
  duskgate tokens list --issuer usr-9c80280edc478eda693e7c3688665a33chea11 --json | jq -r '.[].id'")]
pub struct List {
    #[command(flatten)]
    source: Source,
    /// Only those that this subject issued: usr-<id> or prv-<id>
    #[arg(long, value_name = "SUBJECT")]
    issuer: Option<String>,
    /// Only those in this state: reserved and used ones also where they were revoked since, revoked ones whatever their use
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::name)))]
    state: Option<String>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Go on behind the end of an earlier list
    #[arg(long, value_name = "NUMBER")]
    after: Option<i64>,
    /// Print a JSON array, one object a token
    #[arg(long)]
    json: bool,
}

/// What `tokens show` is given.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    source: Source,
    /// The id of the token, as `tokens list` and `tokens inspect` show it
    id: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// What `tokens revoke` is given.
#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    source: Source,
    /// The id of the token, as `tokens list` and `tokens inspect` show it
    id: String,
}

/// The most that is read at once.
const PAGE: u32 = 1000;

/// Runs `duskgate tokens list`.
pub fn list(arguments: &List) -> ExitCode {
    let state = State::ALL.into_iter().find(|state| Some(state.name()) == arguments.state.as_deref());
    let filter =
        Filter { issuer: arguments.issuer.clone(), state, after: arguments.after, most: arguments.limit };
    with_ledger(&arguments.source, async |ledger| {
        let page = read(&*ledger, filter).await?;
        let printed = if arguments.json {
            print(&format!("{:#}\n", page.tokens.iter().map(object).collect::<Value>()))
        } else {
            let header = ["ID", "STATE", "TYPE", "TARGET", "ISSUER", "CREATED", "CONSUMER", "NAME"];
            print(&table(header, &page.tokens.iter().map(row).collect::<Vec<_>>()))
        };
        if let Some(next) = page.next {
            eprintln!("note: there are more; go on with --after {next}");
        }
        Ok(printed)
    })
}

/// Runs `duskgate tokens show`.
pub fn show(arguments: &Show) -> ExitCode {
    with_ledger(&arguments.source, async |ledger| {
        let Some(token) = ledger.look_up(&arguments.id).await? else { return Ok(unknown()) };
        let object = object(&token);
        if arguments.json {
            return Ok(print(&format!("{object:#}\n")));
        }
        let lines = object.as_object().into_iter().flatten().map(|(name, value)| match value {
            _ if name == "state" => format!("state: {}\n", standing(&token)),
            Value::String(text) => format!("{name}: {}\n", visible(text)),
            other => format!("{name}: {other}\n"),
        });
        Ok(print(&lines.collect::<String>()))
    })
}

/// Runs `duskgate tokens revoke`.
pub fn revoke(arguments: &Revoke) -> ExitCode {
    with_ledger(&arguments.source, async |ledger| {
        if !ledger.set_revoked(&arguments.id, true, Clock::Real.now()).await? {
            return Ok(unknown());
        }
        Ok(print(&format!("revoked: {}\n", arguments.id)))
    })
}

/// Does something with the ledger of the configuration, which must exist already.
fn with_ledger(
    source: &Source,
    work: impl AsyncFnOnce(Arc<dyn Store>) -> Result<ExitCode, Away>,
) -> ExitCode {
    let config = match source.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = block_on(async { work(ledger::open(&config.ledger, Create::No)).await });
    match done {
        Ok(Ok(code)) => code,
        Ok(Err(away)) => {
            eprintln!("error: {away}");
            ExitCode::from(NO)
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            ExitCode::from(NO)
        }
    }
}

/// A whole token may have been given for its id, so nothing of it is repeated.
fn unknown() -> ExitCode {
    eprintln!(
        "error: no token with this id was issued here; `duskgate tokens inspect` shows the id of a token"
    );
    ExitCode::from(NO)
}

/// Reads in pages, so that nobody waits for a long list.
async fn read(ledger: &dyn Store, mut filter: Filter) -> Result<Page, Away> {
    let (most, mut all) = (filter.most, Page::default());
    loop {
        filter.most = PAGE.min(most - all.tokens.len() as u32);
        let page = ledger.list(&filter).await?;
        all.tokens.extend(page.tokens);
        all.next = page.next;
        if page.next.is_none() || all.tokens.len() as u32 == most {
            return Ok(all);
        }
        filter.after = page.next;
    }
}

fn row(token: &Issued) -> [String; 8] {
    let consumer = match &token.usage {
        Usage::Unused => "-",
        Usage::Reserved { consumer, .. } | Usage::Used { consumer, .. } => consumer,
    };
    let name = visible(&token.name);
    [
        token.id.clone(),
        standing(token),
        token.invite_type.clone(),
        token.target.clone(),
        token.issuer.clone(),
        token.created_at.to_string(),
        visible(consumer),
        name,
    ]
}

/// Its state, and what else is to be known of it: `reserved, revoked`.
fn standing(token: &Issued) -> String {
    let state = token.state();
    let revoked = (token.revoked && state != State::Revoked).then_some("revoked");
    let words = [Some(state.name()), revoked, token.deleted.then_some("deleted")];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A token as JSON. The hash of an Idempotency-Key stays out.
fn object(token: &Issued) -> Value {
    let (consumer, reserved_at, used_at) = match &token.usage {
        Usage::Unused => (None, None, None),
        Usage::Reserved { consumer, since } => (Some(consumer), Some(since.to_string()), None),
        Usage::Used { consumer, at } => (Some(consumer), None, Some(at.to_string())),
    };
    json!({
        "id": token.id,
        "name": token.name,
        "state": token.state().name(),
        "operation": token.operation,
        "invite_type": token.invite_type,
        "target": token.target,
        "issuer": token.issuer,
        "created_at": token.created_at.to_string(),
        "privileges": token.privileges,
        "revoked": token.revoked,
        "deleted": token.deleted,
        "usage_limit": USAGE_LIMIT,
        "usage_count": u32::from(used_at.is_some()),
        "consumer": consumer,
        "reserved_at": reserved_at,
        "used_at": used_at,
        "custom_metadata": token.custom_metadata,
    })
}
