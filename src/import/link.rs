//! A connection on which requests go out while their answers come in, each by a thread of its own, so that neither waits
//! for the other but by the bound on how many are under way.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use super::tally::{Answers, name};
use crate::load::append_bulk;
use crate::load::endpoint::{Endpoint, Socket};
use crate::load::error::LoadError;
use crate::load::reply::{Outcome, Replies};

/// What is gathered before it is sent; a value of this size goes out from where it lies.
const OUT_BYTES: usize = 64 * 1024;
const RECEIVE_BYTES: usize = 64 * 1024;

/// A request whose answer has yet to come.
pub struct Sent {
    name: String,
    bytes: u64,
}

pub struct Sender<'a> {
    socket: &'a Socket,
    /// Holds as many as may be under way.
    under_way: SyncSender<Sent>,
    replace: bool,
    out: Vec<u8>,
}

impl<'a> Sender<'a> {
    pub fn new(socket: &'a Socket, under_way: SyncSender<Sent>, replace: bool) -> Self {
        Self { socket, under_way, replace, out: Vec::with_capacity(2 * OUT_BYTES) }
    }

    /// SET, in time; waits while too many are under way. An error of the kind `BrokenPipe` may be the collector's.
    pub fn set(&mut self, key: &[u8], value: &[u8], expires_ms: Option<i64>) -> io::Result<()> {
        let sent = Sent { name: name(key), bytes: (key.len() + value.len()) as u64 };
        match self.under_way.try_send(sent) {
            Ok(()) => {}
            Err(TrySendError::Disconnected(_)) => return Err(ErrorKind::BrokenPipe.into()),
            Err(TrySendError::Full(sent)) => {
                // Room comes with answers, and those only to what was sent.
                self.flush()?;
                self.under_way.send(sent).map_err(|_| ErrorKind::BrokenPipe)?;
            }
        }
        let words = 3 + usize::from(!self.replace) + 2 * usize::from(expires_ms.is_some());
        self.out.extend_from_slice(format!("*{words}\r\n$3\r\nSET\r\n").as_bytes());
        append_bulk(key, &mut self.out);
        if value.len() < OUT_BYTES {
            append_bulk(value, &mut self.out);
        } else {
            self.out.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
            self.flush()?;
            self.write(value)?;
            self.out.extend_from_slice(b"\r\n");
        }
        if !self.replace {
            append_bulk(b"NX", &mut self.out);
        }
        if let Some(expires_ms) = expires_ms {
            append_bulk(b"PXAT", &mut self.out);
            append_bulk(expires_ms.to_string().as_bytes(), &mut self.out);
        }
        if self.out.len() >= OUT_BYTES { self.flush() } else { Ok(()) }
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.write(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.socket.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Takes the answers until the last request has its own, or the connection is lost; then the sender is let go, too.
pub fn collect(socket: &Socket, endpoint: &Endpoint, under_way: Receiver<Sent>) -> (Answers, Result<(), LoadError>) {
    let mut answers = Answers::default();
    let ended = collect_all(socket, endpoint, &under_way, &mut answers);
    if ended.is_err() {
        socket.shutdown();
    }
    (answers, ended)
}

fn collect_all(
    socket: &Socket,
    endpoint: &Endpoint,
    under_way: &Receiver<Sent>,
    answers: &mut Answers,
) -> Result<(), LoadError> {
    let no_answer =
        |source: io::Error| LoadError::NoAnswer { endpoint: endpoint.clone(), command: "SET".into(), source };
    let (mut replies, mut buffer) = (Replies::default(), vec![0; RECEIVE_BYTES]);
    while let Ok(oldest) = under_way.recv() {
        let mut oldest = Some(oldest);
        while oldest.is_some() {
            let bytes = match socket.read(&mut buffer) {
                Ok(0) => return Err(no_answer(ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(no_answer(error)),
            };
            let mut unasked = false;
            let fed = replies.feed(&buffer[..bytes], |outcome, _| {
                match oldest.take().or_else(|| under_way.try_recv().ok()) {
                    Some(sent) => answer(answers, sent, outcome),
                    None => unasked = true,
                }
            });
            let line = match fed {
                Err(bad) => bad.0,
                Ok(()) if unasked => "a reply to no request".to_owned(),
                Ok(()) => continue,
            };
            return Err(LoadError::NotAReply { endpoint: endpoint.clone(), line });
        }
    }
    Ok(())
}

fn answer(answers: &mut Answers, sent: Sent, outcome: Outcome<'_>) {
    match outcome {
        Outcome::Value => {
            answers.set += 1;
            answers.bytes += sent.bytes;
        }
        Outcome::Miss => answers.existing += 1,
        Outcome::Error(text) => answers.fail(sent.name, text),
    }
}
