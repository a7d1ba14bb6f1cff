//! Why a run cannot start, go on, or be reported.

use std::path::PathBuf;

use super::endpoint::Endpoint;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot reach {endpoint}: {source}")]
    Connect { endpoint: Endpoint, source: std::io::Error },
    #[error("{endpoint} refused {command}: {reply}")]
    Refused { endpoint: Endpoint, command: String, reply: String },
    #[error("{endpoint} sent what is no reply: {line:?}")]
    NotAReply { endpoint: Endpoint, line: String },
    #[error("{endpoint} did not answer {command}: {source}")]
    NoAnswer { endpoint: Endpoint, command: String, source: std::io::Error },
    #[error("{endpoint} lists no node that serves slots")]
    NoNodes { endpoint: Endpoint },
    #[error("cannot wait for sockets: {0}")]
    Poll(std::io::Error),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot take signals: {0}")]
    Signal(std::io::Error),
}
