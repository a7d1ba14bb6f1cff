//! Why bytes are no RDB file, and where.

use crate::types::VALUE_BYTES_MAX;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {fault}")]
pub struct RdbError {
    /// Of what could not be read, from the start of the file.
    pub offset: u64,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("an RDB file begins with REDIS or VALKEY and a version, not with \"{}\"", found.escape_ascii())]
    Signature { found: Vec<u8> },
    #[error("there is no length or string that begins with {0:#04x}")]
    Length(u8),
    #[error("a string of {0} bytes, where {VALUE_BYTES_MAX} are the most")]
    TooLong(u64),
    #[error("a compressed string that cannot be unpacked")]
    Compression,
    #[error("type {number} of version {version} is not known, so that its end cannot be found")]
    Type { number: u8, version: u32 },
    #[error("a module's value with a part of kind {0}, which is not known")]
    ModulePart(u64),
    #[error("the checksum of all before is {got:016x}, and not {expected:016x} as the file says")]
    Checksum { got: u64, expected: u64 },
    #[error("the file ends too early")]
    Truncated,
    #[error("the RDB file has ended, and more follows; commands of an append-only file are not read")]
    Trailing,
}
