//! Commands: read from the command line once, then written into requests as cheaply as a copy.

use super::data::Values;
use super::keys::{KeyStream, Pattern};
use crate::protocol::resp::{Input, Limits};

pub const KEY: &str = "__key__";
pub const DATA: &str = "__data__";
/// Our own, for `--expiry-range`: no user writes it.
const EXPIRY: &str = "__expiry__";
/// Decimal digits of the largest key number.
const DIGITS_MAX: usize = 20;

/// One command of a run, with how often and with which keys it comes.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its first word in capitals: `SET`.
    pub name: String,
    /// Counts of commands with the same row are reported together.
    pub row: usize,
    /// So many of it in a row, before the next command's turn.
    pub ratio: u32,
    pub pattern: Pattern,
    /// A reply without a value is a miss.
    pub counts_hits: bool,
    pub words: Vec<Vec<u8>>,
}

impl Command {
    pub fn set(ratio: u32, pattern: Pattern, expires: bool) -> Self {
        let words: &[&str] = if expires { &["SETEX", KEY, EXPIRY, DATA] } else { &["SET", KEY, DATA] };
        Self::fixed("SET", 0, ratio, pattern, words)
    }

    pub fn get(ratio: u32, pattern: Pattern) -> Self {
        Self { counts_hits: true, ..Self::fixed("GET", 1, ratio, pattern, &["GET", KEY]) }
    }

    fn fixed(name: &str, row: usize, ratio: u32, pattern: Pattern, words: &[&str]) -> Self {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Self { name: name.to_owned(), row, ratio, pattern, counts_hits: false, words }
    }

    /// A line as one would type it to a server, quotes and escapes included.
    pub fn from_line(line: &str, row: usize) -> Result<Self, String> {
        let words = split(line)?;
        let Some(name) = words.first() else { return Err("an empty command".to_owned()) };
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        let misplaced = words.iter().any(|word| contains(word, DATA) && word != DATA.as_bytes());
        if misplaced {
            return Err(format!("{DATA} must be an argument of its own"));
        }
        Ok(Self { name, row, ratio: 1, pattern: Pattern::Uniform, counts_hits: false, words })
    }

    pub fn keys(&self) -> usize {
        self.words.iter().filter(|word| contains(word, KEY)).count()
    }
}

/// Splits a line the way a server splits an inline request.
fn split(line: &str) -> Result<Vec<Vec<u8>>, String> {
    if line.trim_start().starts_with('*') || line.contains(['\n', '\r']) {
        return Err("a command is one line of words".to_owned());
    }
    let (mut input, mut args) = (Input::new(), Vec::new());
    input.keep(format!("{}\r\n", line.trim()).as_bytes());
    match input.next(&Limits::default(), &mut args) {
        Ok(Some(frame)) => Ok(input.args(frame, &args).iter().map(<[u8]>::to_vec).collect()),
        Ok(None) => Ok(Vec::new()),
        Err(_) => Err("unbalanced quotes".to_owned()),
    }
}

fn contains(word: &[u8], placeholder: &str) -> bool {
    place(word, placeholder).is_some()
}

fn place(word: &[u8], placeholder: &str) -> Option<usize> {
    word.windows(placeholder.len()).position(|window| window == placeholder.as_bytes())
}

enum Step {
    Bytes(Vec<u8>),
    /// By the number of digits of the key's number: all that stands before these digits.
    Key {
        heads: Vec<Vec<u8>>,
    },
    Data,
    Expiry,
}

/// A command compiled for one run: what never changes is ready to be copied.
pub struct Template {
    steps: Vec<Step>,
    key_prefix: Vec<u8>,
    expiry_s: (u32, u32),
}

impl Template {
    /// `constant`: the data, if it is always the same.
    pub fn new(command: &Command, key_prefix: &str, constant: Option<&[u8]>, expiry_s: (u32, u32)) -> Self {
        let mut steps = Vec::new();
        let mut open = format!("*{}\r\n", command.words.len()).into_bytes();
        for word in &command.words {
            if let Some(at) = place(word, KEY) {
                let (before, after) = (&word[..at], &word[at + KEY.len()..]);
                let fixed = before.len() + key_prefix.len() + after.len();
                let head = |digits: usize| {
                    let length = format!("${}\r\n", fixed + digits).into_bytes();
                    [&open, &length, before, key_prefix.as_bytes()].concat()
                };
                steps.push(Step::Key { heads: (0..=DIGITS_MAX).map(head).collect() });
                open = [after, b"\r\n"].concat();
            } else if word == EXPIRY.as_bytes() {
                steps.push(Step::Bytes(std::mem::take(&mut open)));
                steps.push(Step::Expiry);
            } else if word == DATA.as_bytes() && constant.is_none() {
                steps.push(Step::Bytes(std::mem::take(&mut open)));
                steps.push(Step::Data);
            } else {
                let word = constant.filter(|_| word == DATA.as_bytes()).unwrap_or(word);
                append_bulk(word, &mut open);
            }
        }
        if !open.is_empty() {
            steps.push(Step::Bytes(open));
        }
        Self { steps, key_prefix: key_prefix.as_bytes().to_vec(), expiry_s }
    }

    /// Appends one request with `key` as its first key; further ones are the stream's next.
    #[inline]
    pub fn append(
        &self,
        (index, pattern): (usize, Pattern),
        key: u64,
        keys: &mut KeyStream,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) {
        let mut first = Some(key);
        let mut decimal = itoa::Buffer::new();
        for step in &self.steps {
            match step {
                Step::Bytes(bytes) => out.extend_from_slice(bytes),
                Step::Key { heads } => {
                    let number = first.take().unwrap_or_else(|| keys.next(index, pattern));
                    let digits = decimal.format(number).as_bytes();
                    out.extend_from_slice(&heads[digits.len()]);
                    out.extend_from_slice(digits);
                }
                Step::Data => append_bulk(values.next(key, keys.rng()), out),
                Step::Expiry => {
                    let seconds = keys.rng().u32(self.expiry_s.0..=self.expiry_s.1);
                    append_bulk(decimal.format(seconds).as_bytes(), out);
                }
            }
        }
    }

    /// The bytes of a key as a server sees them, where nothing is put around it; what decides its slot.
    pub fn key_bytes<'a>(&self, key: u64, out: &'a mut Vec<u8>) -> &'a [u8] {
        out.clear();
        out.extend_from_slice(&self.key_prefix);
        out.extend_from_slice(itoa::Buffer::new().format(key).as_bytes());
        out
    }
}

pub fn append_bulk(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'$');
    out.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Whose turn it is: each command as many times in a row as its ratio says.
#[derive(Clone)]
pub struct Turns {
    ratios: Vec<u32>,
    at: usize,
    done: u32,
}

impl Turns {
    /// At least one of the ratios is not zero.
    pub fn new(commands: &[Command]) -> Self {
        let ratios: Vec<u32> = commands.iter().map(|command| command.ratio).collect();
        assert!(ratios.iter().any(|ratio| *ratio > 0), "nobody would ever have a turn");
        Self { ratios, at: 0, done: 0 }
    }

    #[inline]
    pub fn next(&mut self) -> usize {
        while self.done >= self.ratios[self.at] {
            self.at = if self.at + 1 == self.ratios.len() { 0 } else { self.at + 1 };
            self.done = 0;
        }
        self.done += 1;
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::Size;
    use super::super::keys::KeyRange;
    use super::*;

    fn wire(command: &Command, size: Size, key: u64) -> String {
        let range = KeyRange { first: 8, last: 8, stddev: None, median: None, zipf_exponent: 1.0, hot_share: 0.0 };
        let mut keys = KeyStream::new(&range, None, 1, 0);
        let mut values = Values::new(size, false, &range, 0);
        let template = Template::new(command, "k:", values.constant(), (60, 60));
        let mut out = Vec::new();
        template.append((0, command.pattern), key, &mut keys, &mut values, &mut out);
        String::from_utf8(out).expect("the test's own words")
    }

    /// Proves the bytes of each kind of request, with data that is constant and data that is not.
    #[test]
    fn requests_are_what_a_client_would_send() {
        let varying = || Size::List(vec![(3, 1)]);
        let set = Command::set(1, Pattern::Uniform, false);
        for size in [Size::Fixed(3), varying()] {
            assert_eq!(wire(&set, size, 1234), "*3\r\n$3\r\nSET\r\n$6\r\nk:1234\r\n$3\r\nxxx\r\n");
        }
        let expiring = Command::set(1, Pattern::Uniform, true);
        let expected = "*4\r\n$5\r\nSETEX\r\n$3\r\nk:0\r\n$2\r\n60\r\n$3\r\nxxx\r\n";
        assert_eq!(wire(&expiring, varying(), 0), expected);
        assert_eq!(wire(&Command::get(1, Pattern::Uniform), varying(), 7), "*2\r\n$3\r\nGET\r\n$3\r\nk:7\r\n");
    }

    /// Proves how a user's line is read: quotes, placeholders with something around them, several keys.
    #[test]
    fn lines_become_requests() {
        let line = r#"mset {__key__}:a "b c" __key__ __data__"#;
        let command = Command::from_line(line, 0).expect("a good line");
        assert_eq!((command.name.as_str(), command.keys()), ("MSET", 2));
        let expected = "*5\r\n$4\r\nmset\r\n$7\r\n{k:1}:a\r\n$3\r\nb c\r\n$3\r\nk:8\r\n$2\r\nxx\r\n";
        assert_eq!(wire(&command, Size::Fixed(2), 1), expected);
        assert_eq!(wire(&command, Size::List(vec![(2, 1)]), 1), expected);
        let ping = Command::from_line("PING", 0).expect("a good line");
        assert_eq!((wire(&ping, Size::Fixed(1), 0).as_str(), ping.keys()), ("*1\r\n$4\r\nPING\r\n", 0));
        for bad in ["", "  ", "set \"a", "set k x__data__", "*1", "a\nb"] {
            assert!(Command::from_line(bad, 0).is_err(), "{bad:?}");
        }
    }

    /// Proves that ratios are exact and in memtier's order: all of one, then all of the next.
    #[test]
    fn turns_keep_the_ratio() {
        let commands = [(1, 0), (2, 1), (0, 2)]
            .map(|(ratio, row)| Command { ratio, ..Command::from_line("PING", row).expect("a good line") });
        let mut turns = Turns::new(&commands);
        assert_eq!((0..7).map(|_| turns.next()).collect::<Vec<_>>(), [0, 1, 1, 0, 1, 1, 0]);
    }
}
