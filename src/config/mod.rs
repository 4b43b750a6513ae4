//! The configuration: one TOML file, overridden by the environment, checked as a whole. What comes out is typed and
//! cannot be wrong; what does not come out is said with all of its mistakes at once. It knows the other rooms' settings,
//! none of them knows it.

mod backend;
mod certificates;
mod environment;
mod file;
mod invalid;
mod keys;
mod ledger;
mod listeners;
mod local;
mod operations;
mod print;
mod section;
mod tracing;
mod units;
mod usage;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::PREFIX;
pub use file::Place;
pub use invalid::{Invalid, Mistake};

use crate::{admin, admission, listen, log, policy, trace, upstream};
use section::{Effective, Findings};

/// Where the configuration is looked for if nobody says.
pub const DEFAULT_FILE: &str = "config/duskgate.toml";
/// The variable that says where.
pub const FILE_VARIABLE: &str = "DUSKGATE_CONFIG";
/// The variable in which systemd names the directory for what must outlive the program.
pub const STATE_VARIABLE: &str = "STATE_DIRECTORY";

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The file that it came from.
    pub file: PathBuf,
    /// What to listen on, at least one; no address twice.
    pub listeners: Vec<listen::Settings>,
    /// What clients may take, in time and in bytes.
    pub limits: listen::Limits,
    /// How many requests are served at once.
    pub admission: admission::Settings,
    /// How long requests in flight may take to end when the program stops.
    pub drain: Duration,
    /// The admin listener.
    pub admin: admin::Settings,
    /// Threads that serve, 1 to 1024; nothing means one a core.
    pub threads: Option<usize>,
    /// The log.
    pub log: log::Settings,
    /// The backend.
    pub upstream: upstream::Settings,
    /// Where issued tokens are kept, and who called.
    pub ledger: crate::ledger::Settings,
    /// What is remembered of who calls.
    pub usage: crate::usage::Settings,
    /// The token module, if it is configured.
    pub local: Option<crate::serve::local::Settings>,
    /// Where spans are sent, if they are.
    pub tracing: Option<trace::Settings>,
    /// The deprecated operations, each with its mode and its dates.
    pub book: policy::Book,
    effective: Vec<Effective>,
}

impl Config {
    /// Reads a file and lays the overrides of the environment over it. Of the variables that do not begin with [`PREFIX`]
    /// only [`STATE_VARIABLE`] is looked at.
    ///
    /// # Errors
    ///
    /// All mistakes together.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Invalid> {
        let alone = |place: &Place, message: String| {
            Invalid::new(path, vec![Mistake::new(place, "", message)], Vec::new())
        };
        let bytes = std::fs::read(path)
            .map_err(|error| alone(&Place::Default, format!("cannot read the configuration: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let place = file::place(&String::from_utf8_lossy(&error.as_bytes()[..valid]), valid);
            alone(&place, "not UTF-8".to_owned())
        })?;
        Config::read(path, &text, environment)
    }

    /// What [`Config::load`] does with the text of the file at `path`.
    ///
    /// # Errors
    ///
    /// All mistakes together.
    pub fn read(
        path: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Invalid> {
        let (mut root, syntax) = file::parse(text);
        let environment: Vec<_> = environment.into_iter().collect();
        let state = environment.iter().find(|(name, _)| name == STATE_VARIABLE);
        // There may be several, separated by colons.
        let state = state.and_then(|(_, value)| value.split(':').next()).filter(|first| !first.is_empty());
        let state = state.map(PathBuf::from);
        let mut mistakes = environment::apply(&mut root, environment);
        mistakes.extend(keys::check(&root));
        let findings = Findings::default();
        let directory = path.parent().unwrap_or(Path::new(""));

        let (listeners, admin) = listeners::addresses(&root, &findings, directory);
        let threads = listeners::threads(&root, &findings);
        let log = listeners::log(&root, &findings);
        let limits = listeners::limits(&root, &findings);
        let backend = section::Section::single(&root, listeners::shape("upstream"), &findings);
        let upstream = backend::read(&backend, directory, limits.upstream_stall);
        let shelf = section::Section::single(&root, listeners::shape("ledger"), &findings);
        let ledger = ledger::read(&shelf, directory, state.as_deref());
        let usage = usage::read(&root, &findings);
        let (chosen, wanted) = operations::read(&root, &findings);
        let has_service_token = backend.has("service_token_file");
        let local = local::read(&root, &findings, directory, has_service_token, &wanted);

        let tracing = tracing::read(&root, &findings, directory);

        mistakes.extend(findings.mistakes.into_inner());
        if !mistakes.is_empty() || !syntax.is_empty() {
            return Err(Invalid::new(path, syntax, mistakes));
        }
        let book =
            operations::book(chosen).map_err(|mistake| Invalid::new(path, Vec::new(), vec![mistake]))?;
        Ok(Config {
            file: path.to_owned(),
            listeners,
            limits: limits.client,
            admission: limits.admission,
            drain: limits.drain,
            admin,
            threads,
            log,
            upstream,
            ledger,
            usage,
            local,
            tracing,
            book,
            effective: findings.effective.into_inner(),
        })
    }

    /// What `other` changes that cannot change while the program runs, each by its name.
    pub fn restart_needed(&self, other: &Config) -> Vec<String> {
        let mut changed = Vec::new();
        for index in 0..self.listeners.len().max(other.listeners.len()) {
            let (old, new) = (self.listeners.get(index), other.listeners.get(index));
            let what = match (old, new) {
                (Some(old), Some(new)) if old.address == new.address => continue,
                (Some(_), Some(_)) => format!("listener[{index}].address changed"),
                (None, _) => format!("listener[{index}] added"),
                (_, None) => format!("listener[{index}] removed"),
            };
            changed.push(what);
        }
        if self.admin.address != other.admin.address {
            changed.push("admin.address changed".to_owned());
        }
        if self.ledger.place() != other.ledger.place() {
            changed.push("ledger changed".to_owned());
        }
        if self.threads != other.threads {
            changed.push("runtime.threads changed".to_owned());
        }
        // Events keep the form in which they began.
        if self.log.format != other.log.format {
            changed.push("log.format changed".to_owned());
        }
        changed.iter().map(|what| format!("{what}; restart needed")).collect()
    }

    /// Where a key is set.
    pub fn place(&self, section: &str, key: &str) -> Option<&Place> {
        let found = self.effective.iter().find(|line| line.section == section && line.key == key);
        found.map(|line| &line.place)
    }

    /// Where a table of the file is: the place of the first key that is set in it.
    pub fn table(&self, section: &str) -> Option<&Place> {
        let keys = self.effective.iter().filter(|line| line.section == section);
        keys.map(|line| &line.place).find(|place| matches!(place, Place::File { .. }))
    }

    /// Where an operation's own table is, by its id there.
    pub fn operation_table(&self, id: &str) -> Option<&Place> {
        let id = section::quote(id);
        let named = |line: &&Effective| line.key == "id" && line.value.as_ref() == Some(&id);
        self.effective
            .iter()
            .filter(|line| line.section.starts_with("operation["))
            .find(named)
            .map(|line| &line.place)
    }

    /// The effective configuration as TOML, each value with where it came from. Holds no secret.
    pub fn print(&self) -> String {
        print::print(&self.effective, &self.file)
    }
}
