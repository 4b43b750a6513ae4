//! Which configuration a command reads: `--config`, else `DUSKGATE_CONFIG`, else `config/duskgate.toml`; over it go the
//! overrides of the environment.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::BAD;
use crate::config::{Config, DEFAULT_FILE, FILE_VARIABLE, Invalid, PREFIX, STATE_VARIABLE};

/// The option that names the file.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// The configuration [default: $DUSKGATE_CONFIG, else config/duskgate.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Source {
    /// The file that is read.
    pub fn file(&self) -> PathBuf {
        let variable =
            || std::env::var_os(FILE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        self.config.clone().or_else(variable).unwrap_or_else(|| PathBuf::from(DEFAULT_FILE))
    }

    /// Reads the configuration; where it is bad, says so on stderr and gives the exit code.
    ///
    /// # Errors
    ///
    /// [`BAD`], after every mistake was written to stderr.
    pub fn load(&self) -> Result<Config, ExitCode> {
        Config::load(&self.file(), environment()).map_err(|invalid| complain(&invalid))
    }
}

/// Writes every mistake to stderr, and gives the exit code.
pub fn complain(invalid: &Invalid) -> ExitCode {
    let count = match invalid.mistakes.len() {
        1 => "a mistake".to_owned(),
        count => format!("{count} mistakes"),
    };
    eprintln!("{invalid}\nerror: the configuration has {count}");
    ExitCode::from(BAD)
}

/// The overrides in the environment, and where the program keeps its state. What is not UTF-8 in them is replaced, and then is a bad value.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX) || name == STATE_VARIABLE)
        .collect()
}
