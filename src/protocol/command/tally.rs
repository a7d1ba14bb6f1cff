//! What became of requests, command by command: how often each ran, how long it took, how often it failed, and with
//! which word its errors begin. INFO's commandstats and errorstats.

use super::Command;

/// Words of errors that are told apart. Ours are some twenty; DEBUG ERROR can make up more.
const WORDS_MAX: usize = 128;
/// A longer word is cut.
const WORD_BYTES_MAX: usize = 24;

/// One command's counts. They wrap: a request that is refused where its key lives is taken back there and was counted
/// where it arrived, so that only the sum over all cores means anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub calls: u64,
    pub ns: u64,
    /// Refused before it ran: arity, no AUTH, no memory.
    pub rejected: u64,
    /// Ran and answered an error.
    pub failed: u64,
}

impl Row {
    /// Nothing has become of any request. What it took to queue some may be left in the time.
    pub fn is_blank(&self) -> bool {
        Row { ns: 0, ..*self } == Row::default()
    }

    #[must_use]
    pub fn plus(self, other: Row) -> Row {
        Row {
            calls: self.calls.wrapping_add(other.calls),
            ns: self.ns.wrapping_add(other.ns),
            rejected: self.rejected.wrapping_add(other.rejected),
            failed: self.failed.wrapping_add(other.failed),
        }
    }
}

/// One core's counts.
#[derive(Clone, Debug)]
pub struct Tally {
    rows: Box<[Row; Command::ALL.len()]>,
    words: Vec<(Box<[u8]>, u64)>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { rows: Box::new([Row::default(); Command::ALL.len()]), words: Vec::new() }
    }
}

impl Tally {
    pub fn rows(&self) -> impl Iterator<Item = (Command, &Row)> {
        Command::ALL.into_iter().zip(self.rows.iter())
    }

    pub fn row(&self, command: Command) -> Row {
        self.rows[command as usize]
    }

    /// First words of errors, each with its count.
    pub fn words(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.words.iter().filter(|(_, count)| *count > 0).map(|(word, count)| (&**word, *count))
    }

    /// Errors of all kinds.
    pub fn errors(&self) -> u64 {
        self.words.iter().map(|(_, count)| count).sum()
    }

    /// Commands that ran, and were not taken back here.
    pub fn calls(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.wrapping_add(row.calls))
    }

    /// So many runs of a command took so long together.
    #[inline]
    pub fn ran(&mut self, command: Command, calls: u64, ns: u64) {
        let row = &mut self.rows[command as usize];
        row.calls = row.calls.wrapping_add(calls);
        row.ns += ns;
    }

    /// A command was refused that [`Tally::ran`] counts or will count, on this core or another.
    #[cold]
    pub fn taken_back(&mut self, command: Command) {
        let row = &mut self.rows[command as usize];
        row.calls = row.calls.wrapping_sub(1);
        row.rejected += 1;
    }

    /// A command that [`Tally::ran`] counts was only queued; it will be counted again when it runs.
    pub fn put_off(&mut self, command: Command) {
        let row = &mut self.rows[command as usize];
        row.calls = row.calls.wrapping_sub(1);
    }

    /// A command was refused that nothing else counts.
    #[cold]
    pub fn rejected(&mut self, command: Command) {
        self.rows[command as usize].rejected += 1;
    }

    /// A command ran and answered an error.
    #[cold]
    pub fn failed(&mut self, command: Command) {
        self.rows[command as usize].failed += 1;
    }

    /// A command was answered: counts it, if that was an error, as one that ran and failed, or that was
    /// refused.
    #[inline]
    pub fn answered(&mut self, command: Command, reply: &[u8]) {
        if reply.first() == Some(&b'-') {
            match is_refusal(reply) {
                true => self.taken_back(command),
                false => self.failed(command),
            }
            self.error(reply);
        }
    }

    /// Undoes [`Tally::answered`]: what was answered an error is asked again, and counted then.
    #[cold]
    pub fn asked_again(&mut self, command: Command, error: &[u8]) {
        let row = &mut self.rows[command as usize];
        if is_refusal(error) {
            row.calls = row.calls.wrapping_add(1);
            row.rejected -= 1;
        } else {
            row.failed -= 1;
        }
        let word = word_of(error);
        // Past the bound of words it was not counted.
        if let Some((_, count)) = self.words.iter_mut().find(|(known, _)| **known == *word) {
            *count -= 1;
        }
    }

    /// An error was answered: `line` as it is sent, or its text alone.
    #[cold]
    pub fn error(&mut self, line: &[u8]) {
        let word = word_of(line);
        let has_room = self.words.len() < WORDS_MAX;
        match self.words.iter_mut().find(|(known, _)| **known == *word) {
            Some((_, count)) => *count += 1,
            None if has_room => self.words.push((word.into(), 1)),
            None => {}
        }
    }
}

fn word_of(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"-").unwrap_or(line);
    let word = line.split(|byte| matches!(byte, b' ' | b'\r' | b'\n')).next().unwrap_or_default();
    &word[..word.len().min(WORD_BYTES_MAX)]
}

/// Whether an error says that a command did not run: memory is short, or the log cannot be written.
fn is_refusal(error: &[u8]) -> bool {
    error.starts_with(b"-OOM ") || error.starts_with(b"-MISCONF ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one core takes back of what another counted leaves the sum right.
    #[test]
    fn a_refusal_elsewhere_is_taken_back() {
        let (mut asked, mut owner) = (Tally::default(), Tally::default());
        asked.ran(Command::Set, 2, 10);
        owner.taken_back(Command::Set);
        let row = |tally: &Tally| *tally.rows().find(|(command, _)| *command == Command::Set).expect("it has a row").1;
        let sum = row(&asked).plus(row(&owner));
        assert_eq!((sum.calls, sum.rejected, sum.failed, sum.ns), (1, 1, 0, 10));
        assert_eq!(asked.calls().wrapping_add(owner.calls()), 1);
    }

    /// What was refused when it was asked with others is asked again by itself, and nothing of the first time is left.
    #[test]
    fn what_is_asked_again_is_counted_once() {
        for error in [&b"-OOM command not allowed\r\n"[..], b"-MISCONF Errors writing\r\n", b"-ERR syntax error\r\n"] {
            let mut tally = Tally::default();
            tally.ran(Command::Incr, 1, 0);
            tally.answered(Command::Incr, error);
            tally.asked_again(Command::Incr, error);
            let (_, row) = tally.rows().find(|(command, _)| *command == Command::Incr).expect("it has a row");
            assert_eq!((row.calls, row.rejected, row.failed), (1, 0, 0));
        }
        let mut tally = Tally::default();
        tally.answered(Command::Incr, b"-MISCONF Errors writing\r\n");
        let (_, row) = tally.rows().find(|(command, _)| *command == Command::Incr).expect("it has a row");
        assert_eq!((row.rejected, row.failed), (1, 0), "refused, and has not run");
    }

    /// Errors are told apart by their first word, and no flood of made-up words makes the table grow without end.
    #[test]
    fn words_are_bounded() {
        let mut tally = Tally::default();
        tally.error(b"-ERR syntax error\r\n");
        tally.error(b"ERR wrong number");
        tally.error(b"-LOADING\r\n");
        let words: Vec<_> = tally.words().map(|(word, count)| (word.to_vec(), count)).collect();
        assert_eq!(words, [(b"ERR".to_vec(), 2), (b"LOADING".to_vec(), 1)]);
        (0..1000).for_each(|n| tally.error(format!("-W{n} x\r\n").as_bytes()));
        tally.error(&[b'x'; 100]);
        assert_eq!(tally.words().count(), WORDS_MAX);
        assert!(tally.words().all(|(word, _)| word.len() <= WORD_BYTES_MAX));
    }
}
