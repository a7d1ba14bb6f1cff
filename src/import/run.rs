//! An import from its first byte to its last: a file read in pieces, its strings sent, and what became of them told.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cli::{self, Options};
use super::error::ImportError;
use super::link::{Sender, collect};
use super::tally::{Answers, Tally};
use crate::load::endpoint::{Client, Socket};
use crate::load::error::LoadError;
use crate::load::text;
use crate::protocol::rdb::{Event, Reader};
use crate::protocol::resp::Value;

const CHUNK_BYTES: usize = 256 * 1024;
/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// `coldplate import`: the arguments behind that name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match cli::parse(arguments) {
        Ok(options) => options,
        Err(refusal) => refusal.exit(),
    };
    let started = Instant::now();
    match import(&options) {
        Ok(outcome) => {
            print!("{}", outcome.tally.summary(outcome.answers.as_ref(), started.elapsed()));
            if let Err(error) = &outcome.ended {
                eprintln!("coldplate import: {error}");
            }
            if outcome.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("coldplate import: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What an import came to, whether or not it came to its end.
pub struct Outcome {
    pub tally: Tally,
    /// None if no server was asked.
    pub answers: Option<Answers>,
    pub ended: Result<(), ImportError>,
}

impl Outcome {
    pub fn is_success(&self) -> bool {
        self.ended.is_ok() && self.answers.as_ref().is_none_or(|answers| answers.failed == 0)
    }
}

/// An error: it could not begin.
pub fn import(options: &Options) -> Result<Outcome, ImportError> {
    let (mut source, mut tally) = (Source::open(options)?, Tally::default());
    if options.dry_run {
        let ended = source.read(options, &mut tally, None);
        return Ok(Outcome { tally, answers: None, ended });
    }
    let socket = &connect(options)?;
    let (under_way, awaited) = sync_channel(options.pipeline);
    std::thread::scope(|scope| {
        let collector = scope.spawn(move || collect(socket, &options.endpoint, awaited));
        let mut sender = Sender::new(socket, under_way, options.replace);
        let sent = source.read(options, &mut tally, Some(&mut sender));
        drop(sender);
        let (answers, collected) = collector.join().expect("a panic has been told already");
        // Where the server was lost, that is why nothing more could be sent.
        let ended = collected.map_err(ImportError::from).and(sent);
        Ok(Outcome { tally, answers: Some(answers), ended })
    })
}

fn connect(options: &Options) -> Result<Socket, LoadError> {
    let mut client = Client::connect(&options.endpoint, &options.login)?;
    // One error instead of one for each key.
    if let Value::Error(reply) = client.ask("PING", &["PING"])? {
        return Err(LoadError::Refused { endpoint: options.endpoint.clone(), command: "PING".into(), reply });
    }
    client.into_waiting(PATIENCE)
}

/// A file, or standard input.
struct Source {
    name: String,
    bytes: Box<dyn Read>,
    /// How long it is, if that is known.
    size: Option<u64>,
    reader: Reader,
}

impl Source {
    fn open(options: &Options) -> Result<Self, ImportError> {
        let name = options.file_name();
        let fault = |source| ImportError::Read { file: name.clone(), source };
        let (bytes, size): (Box<dyn Read>, _) = match &options.file {
            None => (Box::new(io::stdin()), None),
            Some(path) => {
                let file = File::open(path).map_err(fault)?;
                let metadata = file.metadata().map_err(fault)?;
                (Box::new(file), metadata.is_file().then_some(metadata.len()))
            }
        };
        Ok(Self { name, bytes, size, reader: Reader::default() })
    }

    /// To its end. What came before a fault has been sent.
    fn read(
        &mut self,
        options: &Options,
        tally: &mut Tally,
        mut sender: Option<&mut Sender<'_>>,
    ) -> Result<(), ImportError> {
        let mut progress = Progress::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let bytes = match self.bytes.read(&mut chunk) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(ImportError::Read { file: self.name.clone(), source }),
            };
            let contents = |source| ImportError::Contents { file: self.name.clone(), source };
            if bytes == 0 {
                return self.reader.finish().map_err(contents);
            }
            self.reader.keep(&chunk[..bytes]);
            let now_ms = unix_ms();
            let read = loop {
                match self.reader.next() {
                    Ok(Some(event)) => take(event, options, now_ms, tally, sender.as_deref_mut())?,
                    Ok(None) => break Ok(()),
                    Err(fault) => break Err(contents(fault)),
                }
            };
            // Nothing waits for the next piece of the file.
            if let Some(sender) = &mut sender {
                sender.flush().map_err(|source| lost(options, source))?;
            }
            read?;
            progress.tell(self.reader.offset(), self.size, tally.strings);
        }
    }
}

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn lost(options: &Options, source: io::Error) -> ImportError {
    LoadError::NoAnswer { endpoint: options.endpoint.clone(), command: "SET".into(), source }.into()
}

fn take(
    event: Event<'_>,
    options: &Options,
    now_ms: i64,
    tally: &mut Tally,
    sender: Option<&mut Sender<'_>>,
) -> Result<(), ImportError> {
    match event {
        Event::Text { database, .. } | Event::Value { database, .. } if database != options.database => {
            tally.count_elsewhere(database);
        }
        Event::Text { expires_ms: Some(expires_ms), .. } if expires_ms <= now_ms => tally.count_expired(),
        Event::Text { key, value, expires_ms, .. } => {
            tally.count_string(key, value);
            if let Some(sender) = sender {
                return sender.set(key, value, expires_ms).map_err(|source| lost(options, source));
            }
        }
        Event::Value { key, kind, .. } => tally.count_skipped(kind, Some(key)),
        Event::Other { kind } => tally.count_skipped(kind, None),
    }
    Ok(())
}

/// A line on the terminal, once a second.
struct Progress {
    is_shown: bool,
    last: Instant,
    started: Instant,
    told: bool,
}

impl Progress {
    fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), last: Instant::now(), started: Instant::now(), told: false }
    }

    fn tell(&mut self, offset: u64, size: Option<u64>, strings: u64) {
        if !self.is_shown || self.last.elapsed() < PROGRESS_EVERY {
            return;
        }
        (self.last, self.told) = (Instant::now(), true);
        eprint!("\r{}\x1b[K", progress_line(offset, size, strings, self.started.elapsed()));
    }
}

/// Leaves no trace of the line.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.told {
            eprint!("\r\x1b[K");
        }
    }
}

fn progress_line(offset: u64, size: Option<u64>, strings: u64, elapsed: Duration) -> String {
    let share = size.map_or(String::new(), |size| {
        let percent = offset as f64 / size.max(1) as f64 * 100.0;
        format!(" of {} ({:.0}%)", text::size(size as f64), percent.min(100.0))
    });
    let rate = strings as f64 / elapsed.as_secs_f64().max(1e-6);
    format!("{}{share}, {strings} strings, {rate:.0} a second", text::size(offset as f64))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
