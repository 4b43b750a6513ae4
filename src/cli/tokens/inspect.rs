//! `duskgate tokens inspect`: what an Onedata token says, offline. It shows no signature and no secret, and its errors
//! repeat nothing of what was given.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::cli::{BAD, NO, print};
use crate::token::{self, Malformed, Token};

/// What `tokens inspect` is given.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The token, or - to read it from standard input, where other users of this machine cannot see it
    token: String,
    /// A file with the token's secret; adds "signatureValid" to the output
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Why a token could not be inspected.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read the token from standard input: {0}")]
    Input(#[source] io::Error),
    #[error("not an Onedata token: {0}")]
    Malformed(#[from] Malformed),
    #[error("cannot read the secret: {}: {error}", file.display())]
    Secret {
        file: PathBuf,
        #[source]
        error: io::Error,
    },
}

/// Runs `duskgate tokens inspect`.
pub fn run(inspect: &Inspect) -> ExitCode {
    match examine(inspect) {
        Ok((text, valid)) => {
            let printed = print(&text);
            if valid { printed } else { ExitCode::from(NO) }
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(BAD)
        }
    }
}

/// The JSON to print, and whether no signature was found to be wrong.
fn examine(inspect: &Inspect) -> Result<(String, bool), Failure> {
    let input = if inspect.token == "-" { read_input()? } else { inspect.token.clone() };
    let token = Token::parse(token::strip_service_prefix(without_newline(&input)))?;
    let mut json = token.to_json();
    let valid = match &inspect.secret_file {
        None => true,
        Some(file) => {
            let valid = token.verify(&read_secret(file)?);
            json["signatureValid"] = valid.into();
            valid
        }
    };
    Ok((format!("{json:#}\n"), valid))
}

/// Reads no more than shows that it is too much.
fn read_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = token::MAX_TEXT as u64 + 16;
    io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(Failure::Input)?;
    String::from_utf8(bytes).map_err(|_| Failure::Malformed(Malformed::Text))
}

fn read_secret(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut secret = fs::read(file).map_err(|error| Failure::Secret { file: file.to_owned(), error })?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    Ok(secret)
}

/// The text without one trailing newline of either kind.
fn without_newline(text: &str) -> &str {
    let Some(text) = text.strip_suffix('\n') else { return text };
    text.strip_suffix('\r').unwrap_or(text)
}
