//! What can be wrong with a configuration. Each mistake says where, what was found and what is allowed.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Where a value came from; later ones win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Default,
    Profile { name: String, line: usize },
    File { path: PathBuf, line: usize },
    Flag,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile { name, line } => write!(f, "profile {name}:{line}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// One mistake. `key` is `section.key` in a file and `--flag` on the command line.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Mistake {
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{at}: not TOML: {reason}")]
    Syntax { at: Place, reason: String },
    #[error("{at}: \"{line_text}\" is redis.conf syntax, and this file is TOML: {advice}")]
    RedisSyntax { at: Place, line_text: String, advice: String },
    #[error("{at}: unknown section [{section}]; the nearest known one is [{nearest}]")]
    UnknownSection { at: Place, section: String, nearest: String },
    #[error("{at}: unknown key {key}; the nearest known one is {nearest}")]
    UnknownKey { at: Place, key: String, nearest: String },
    #[error("{at}: {key} is {found}; allowed: {allowed}")]
    Value { at: Place, key: String, found: String, allowed: String },
}

impl Mistake {
    /// Orders mistakes as a reader meets them: files by line, then the command line.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Unreadable { path, .. } => Place::File { path: path.clone(), line: 0 },
            Self::Syntax { at, .. }
            | Self::RedisSyntax { at, .. }
            | Self::UnknownSection { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::Value { at, .. } => at.clone(),
        }
    }
}

/// Everything that is wrong, in the order in which a reader meets it; one a line when printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
