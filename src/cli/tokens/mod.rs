//! `duskgate tokens`: commands about tokens, and about the ledger of those that were issued here.

mod inspect;
mod issued;

use std::process::ExitCode;

use clap::Subcommand;

/// Commands about tokens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the tokens that Duskgate issued itself, in the order in which it did
    ///
    /// Reads the ledger, also while the proxy runs, and changes nothing. It shows no token, only what is known of each. A
    /// deleted token is shown for as long as its reservation is still to be finished.
    ///
    /// Exit codes: 0 listed, 1 the ledger is away, 2 bad configuration
    List(issued::List),
    /// Show what is known of one token that Duskgate issued itself
    ///
    /// Exit codes: 0 shown, 1 there is none or the ledger is away, 2 bad configuration
    Show(issued::Show),
    /// Revoke a token that Duskgate issued itself, for good as far as its bearers are concerned
    ///
    /// It works at once, also while the proxy runs. A redemption that has begun is finished. The issuer can take it back
    /// with PATCH /tokens/named/{id}.
    ///
    /// Exit codes: 0 revoked, 1 there is none or the ledger is away, 2 bad configuration
    Revoke(issued::Revoke),
    /// Decode any Onedata token, offline, to one JSON object
    ///
    /// Prints onezoneDomain, id, persistence, subject, type and caveats. Nothing is asked of Onezone, so it cannot say
    /// whether the token was revoked or its caveats hold.
    ///
    /// Exit codes: 0 decoded, 1 the signature is not valid, 2 no token, or a secret that cannot be read
    Inspect(inspect::Inspect),
}

/// Runs one of the commands.
pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::List(list) => issued::list(list),
        Command::Show(show) => issued::show(show),
        Command::Revoke(revoke) => issued::revoke(revoke),
        Command::Inspect(inspect) => inspect::run(inspect),
    }
}
