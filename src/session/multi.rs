//! What a client has queued between MULTI and EXEC.

use crate::protocol::command::Spec;
use crate::protocol::resp::{Args, OwnedArgs};

/// One queued request.
#[derive(Debug)]
pub struct Queued {
    pub spec: &'static Spec,
    pub args: OwnedArgs,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Multi {
    pub requests: Vec<Queued>,
    /// A request could not be queued; EXEC will refuse.
    pub refused: bool,
    bytes: usize,
}

impl Multi {
    pub fn queue(&mut self, spec: &'static Spec, args: &mut Args) {
        let args = OwnedArgs::take(args);
        self.bytes += size_of::<Queued>() + args.bytes();
        self.requests.push(Queued { spec, args });
    }

    /// Bytes that the queued requests take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
