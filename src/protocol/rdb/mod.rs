//! Owns: the format of Redis's and Valkey's RDB files: strings in both directions, whole files from bytes to keys.
//! Knows: how each type is laid out, so far as it takes to find its end; the checksum; LZF.
//! Must never know: files, connections, what becomes of a key; it is given bytes in any pieces and gives keys.
//! Read first: `form.rs` (lengths and strings), then `reader.rs` (a file), `layout.rs` (every type).

mod checksum;
mod error;
mod form;
mod layout;
pub mod lzf;
mod reader;
#[cfg(test)]
mod tests;
mod walk;

pub use checksum::checksum;
pub use error::{Fault, RdbError};
pub use form::{Form, INT_8, INT_16, INT_32, LENGTH_32, LZF};
pub use layout::TYPE_STRING;
pub use reader::{Event, Reader};
