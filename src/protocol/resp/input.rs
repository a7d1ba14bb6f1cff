//! What a connection has received and not yet executed.

use super::inline;
use super::parse::parse_canonical;
use super::progress::{Progress, Step};
use super::{Arg, Args, Limits, ProtocolError};

/// Arguments at least this long get a buffer of their own when they come in pieces, and move into the store whole.
pub const BODY_BYTES_MIN: usize = 64 * 1024;
/// How many times what has come of a body may be reserved for it.
const BODY_AHEAD: usize = 8;
/// Capacity that an emptied text keeps; it is held by each of ten thousand idle connections.
const TEXT_KEEP_BYTES_MAX: usize = 4 * 1024;
/// Arguments of a part of a request whose room is kept for the next.
const ARGS_KEEP_MAX: usize = 256;

/// A request that [`Input::next`] found; valid until the [`Input::release`] that follows.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    start: usize,
    end: usize,
    bodies_start: usize,
    bodies_end: usize,
    epoch: u32,
}

/// Received bytes that could not be executed at once: an incomplete request, or any number while paused.
///
/// [`keep`](Self::keep) adds bytes and [`next`](Self::next) parses on from where it stopped, so a byte is looked at
/// once however the bytes were split. Any number of frames may be taken before the first is executed; each has
/// bodies of its own. [`release`](Self::release) ends all of them.
#[derive(Default)]
pub struct Input {
    text: Vec<u8>,
    /// Where in `text` the next request starts; what lies before belongs to frames already given out.
    start: usize,
    progress: Progress,
    /// The arguments of the request that is being read.
    args: Vec<Arg>,
    /// Large arguments: of frames given out, then, from `bodies_start`, of the request that is being read.
    bodies: Vec<Vec<u8>>,
    bodies_start: usize,
    /// Bytes that the last body still lacks; received bytes go there first.
    body_missing_bytes: usize,
    /// The next request was put back: it has passed the limits, in the form in which it came.
    passed: bool,
    /// Why the connection is over; each later call says so again.
    failed: Option<ProtocolError>,
    /// Counts releases, so that a frame used too late is noticed.
    epoch: u32,
}

impl Input {
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is held back: parse straight from the receive buffer with [`parse`](super::parse).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.text.len() && self.failed.is_none()
    }

    /// Bytes received that [`next`](Self::next) has not given out.
    pub fn held_bytes(&self) -> usize {
        self.text.len() - self.start + self.progress.body_bytes() - self.body_missing_bytes
    }

    /// Bytes of memory behind it all, for accounting by connection.
    pub fn capacity_bytes(&self) -> usize {
        let bodies = self.bodies.iter().map(Vec::capacity).sum::<usize>();
        self.text.capacity() + self.args.capacity() * size_of::<Arg>() + bodies
    }

    /// Keeps received bytes. Follow with [`next`](Self::next) until it has no more, now or when no longer paused; it
    /// also reports that there was no memory to keep them.
    pub fn keep(&mut self, bytes: &[u8]) {
        let kept = self.extend(bytes);
        self.failed = self.failed.or(kept.err());
    }

    /// Parses the next request, its arguments pushed onto `args` relative to the frame. `None`: it needs more bytes,
    /// and `args` is as it was. As with [`parse`](super::parse), there may be no arguments. An error is final.
    pub fn next(&mut self, limits: &Limits, args: &mut Vec<Arg>) -> Result<Option<Frame>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        // A stranger may type more than the same request may have otherwise.
        let next = self.read(&Limits { authenticated: limits.authenticated || self.passed, ..*limits }, args);
        self.failed = next.as_ref().err().copied();
        next
    }

    /// Whether no other frame was given out since: [`put_back`](Self::put_back) takes it.
    pub fn is_last(&self, frame: Frame) -> bool {
        frame.epoch == self.epoch && frame.end == self.start
    }

    /// Takes back the frame that was given out last: [`next`](Self::next) will give the same request out again.
    ///
    /// It is written anew, since reading it may have rewritten it: quotes of one that came by hand are resolved in place,
    /// and large arguments are no longer among the text.
    ///
    /// # Panics
    /// If another was given out since, or released.
    pub fn put_back(&mut self, frame: Frame, args: &[Arg]) {
        assert!(self.is_last(frame), "only the last frame can be put back");
        let args = self.args(frame, args);
        let mut text = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args.iter() {
            text.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            text.extend_from_slice(arg);
            text.extend_from_slice(b"\r\n");
        }
        self.text.splice(self.start..self.start, text);
        self.passed = true;
    }

    /// The arguments of a frame that was given out since the last [`release`](Self::release).
    pub fn args<'a>(&'a mut self, frame: Frame, args: &'a [Arg]) -> Args<'a> {
        assert_eq!(frame.epoch, self.epoch, "a frame ends with the release that follows it");
        let bodies = &mut self.bodies[frame.bodies_start..frame.bodies_end];
        Args::new(&self.text[frame.start..frame.end], args, bodies)
    }

    /// Ends all frames given out so far and gives back what they took.
    pub fn release(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.bodies_start > 0 {
            self.bodies.drain(..self.bodies_start);
            self.bodies.shrink_to(1);
            self.bodies_start = 0;
        }
        let live_bytes = self.text.len() - self.start;
        // Moving no more than was consumed since the last move costs one move a byte, however requests are split.
        if self.start == 0 || live_bytes > self.start {
            return;
        }
        #[cfg(test)]
        super::tests::cost::examine(live_bytes);
        self.text.copy_within(self.start.., 0);
        self.text.truncate(live_bytes);
        self.start = 0;
        if self.text.capacity() > TEXT_KEEP_BYTES_MAX && live_bytes < self.text.capacity() / 4 {
            self.text.shrink_to(TEXT_KEEP_BYTES_MAX.max(live_bytes * 2));
        }
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let (of_body, rest) = bytes.split_at(bytes.len().min(self.body_missing_bytes));
        if !of_body.is_empty() {
            let body = self.bodies.last_mut().expect("a body that lacks bytes is the last one");
            let whole_bytes = body.len() + self.body_missing_bytes;
            extend_body(body, of_body, whole_bytes)?;
            self.body_missing_bytes -= of_body.len();
        }
        self.text.try_reserve(rest.len()).map_err(|_| ProtocolError::OutOfMemory { bytes: rest.len() })?;
        self.text.extend_from_slice(rest);
        Ok(())
    }

    fn read(&mut self, limits: &Limits, args: &mut Vec<Arg>) -> Result<Option<Frame>, ProtocolError> {
        if self.body_missing_bytes > 0 || self.is_empty() {
            return Ok(None);
        }
        let text = &mut self.text[self.start..];
        if self.progress.is_fresh() {
            let before = args.len();
            if let Some(bytes) = parse_canonical(text, limits, args) {
                return Ok(Some(self.finish(bytes)));
            }
            args.truncate(before);
        }
        match self.progress.advance(text, limits, &mut self.args)? {
            Step::Whole => {}
            Step::Quoted { line } => inline::split_quoted(&mut text[line], &mut self.args)?,
            Step::Short => return Ok(None),
            Step::Bulk { bytes } => {
                if bytes >= BODY_BYTES_MIN {
                    self.divert(bytes)?;
                }
                return Ok(None);
            }
        }
        args.append(&mut self.args);
        self.args.shrink_to(ARGS_KEEP_MAX);
        Ok(Some(self.finish(self.progress.read_bytes())))
    }

    /// The request's text ends here; the next one starts.
    fn finish(&mut self, bytes: usize) -> Frame {
        let frame = Frame {
            start: self.start,
            end: self.start + bytes,
            bodies_start: self.bodies_start,
            bodies_end: self.bodies.len(),
            epoch: self.epoch,
        };
        self.progress = Progress::default();
        self.passed = false;
        self.start = frame.end;
        self.bodies_start = frame.bodies_end;
        frame
    }

    /// Moves what has come of the argument being read into a body of its own, once anything has.
    fn divert(&mut self, bytes: usize) -> Result<(), ProtocolError> {
        let at = self.start + self.progress.read_bytes();
        let come_bytes = bytes.min(self.text.len() - at);
        if come_bytes == 0 {
            return Ok(());
        }
        #[cfg(test)]
        super::tests::cost::examine(come_bytes);
        let mut body = Vec::new();
        extend_body(&mut body, &self.text[at..at + come_bytes], bytes)?;
        self.text.drain(at..at + come_bytes);
        self.progress.divert(Arg::body(self.bodies.len() - self.bodies_start, bytes));
        self.body_missing_bytes = bytes - come_bytes;
        self.bodies.push(body);
        Ok(())
    }
}

/// Appends to a body that will have `whole_bytes`.
///
/// Reserving the whole at once would copy nothing, but ten thousand clients that announce half a gigabyte each
/// and send one packet would reserve 5 TB: refused under strict overcommit, and made resident 2 MiB at a time where
/// huge pages are on. So the reservation stays within [`BODY_AHEAD`] times what has come (or 64 KiB). Its steps are
/// `whole / 8^k`, not `8^k`, so that the last copy is an eighth of the value and all together a seventh: 64 MiB at
/// most in one turn. Doubling would copy all of it, half in one turn.
fn extend_body(body: &mut Vec<u8>, bytes: &[u8], whole_bytes: usize) -> Result<(), ProtocolError> {
    let come_bytes = body.len() + bytes.len();
    if come_bytes > body.capacity() {
        let mut reserved_bytes = whole_bytes;
        while reserved_bytes.div_ceil(BODY_AHEAD) >= come_bytes.max(BODY_BYTES_MIN) {
            reserved_bytes = reserved_bytes.div_ceil(BODY_AHEAD);
        }
        let out_of_memory = |_| ProtocolError::OutOfMemory { bytes: reserved_bytes };
        body.try_reserve_exact(reserved_bytes - body.len()).map_err(out_of_memory)?;
    }
    body.extend_from_slice(bytes);
    Ok(())
}
