//! How much a client may ask for in one request.

use crate::types::VALUE_BYTES_MAX;

/// Arguments that a client may send before it has authenticated: enough for AUTH and HELLO.
const UNAUTHENTICATED_ARGS_MAX: usize = 10;
/// The longest argument that a client may send before it has authenticated.
const UNAUTHENTICATED_BULK_BYTES_MAX: usize = 16_384;

/// The bounds of one request. Checked against what the client announces, before anything is stored for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub args_max: usize,
    pub bulk_bytes_max: usize,
    /// The longest inline request, and the longest line that announces a length.
    pub inline_bytes_max: usize,
    /// All of a request's bytes, large arguments included (Redis: `client-query-buffer-limit`).
    pub request_bytes_max: usize,
    /// Whether the client may use all of the above; if not, Redis's tighter limits hold.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            args_max: 1024 * 1024,
            bulk_bytes_max: VALUE_BYTES_MAX,
            inline_bytes_max: 64 * 1024,
            request_bytes_max: 1024 * 1024 * 1024,
            authenticated: true,
        }
    }
}

impl Limits {
    /// The most arguments that pass without a closer look.
    #[inline]
    pub(super) fn args_open_max(&self) -> usize {
        if self.authenticated { self.args_max } else { self.args_max.min(UNAUTHENTICATED_ARGS_MAX) }
    }

    /// The longest argument that passes without a closer look.
    #[inline]
    pub(super) fn bulk_open_max(&self) -> usize {
        if self.authenticated { self.bulk_bytes_max } else { self.bulk_bytes_max.min(UNAUTHENTICATED_BULK_BYTES_MAX) }
    }

    /// The longest request; offsets into one take 31 bits whatever the config says.
    #[inline]
    pub(super) fn request_max(&self) -> usize {
        self.request_bytes_max.min(i32::MAX as usize)
    }
}
