//! `duskgate keygen`: a file with a key for the local token module, or one more key in it. The key itself is never
//! printed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::NO;
use crate::token::key_file;

/// Write a new key for the tokens that Duskgate issues itself
///
/// The secrets of these tokens are derived from the key: whoever can read the file can forge invitations, and without it
/// none that were issued can be redeemed. It has mode 0600, and a file that others can read is refused when it is used.
/// An existing file is never overwritten.
///
/// To change keys, add one: the newest issues, and tokens of the older ones stay good until you take their lines out.
///
/// Exit codes: 0 written, 1 not written
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to write
    file: PathBuf,
    /// Put a new key in front of those in an existing file, which keeps its owner and mode
    #[arg(long)]
    add: bool,
}

/// Runs `duskgate keygen`.
pub fn run(arguments: &Arguments) -> ExitCode {
    let written = if arguments.add { key_file::add } else { key_file::create }(&arguments.file);
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(NO)
        }
    }
}
