//! Why an import cannot start or go on.

use crate::load::error::LoadError;
use crate::protocol::rdb::RdbError;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {file}: {source}")]
    Read { file: String, source: std::io::Error },
    #[error("{file}: {source}")]
    Contents { file: String, source: RdbError },
    #[error(transparent)]
    Server(#[from] LoadError),
}
