//! Proves what each command says of a log and does to it, on real directories.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::cli::{Detail, Task, parse};
use super::{ToolError, run};
use crate::log::{FrameBuffer, HEADER_BYTES, SegmentHeader, SegmentName};
use crate::types::{CoreId, Slot};

const SEGMENT_BYTES: usize = HEADER_BYTES + 512;

fn name(number: u64) -> SegmentName {
    SegmentName { run: 1, core: CoreId(0), number }
}

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Dir {
    /// Two segments of three frames each; each says that the one before is durable.
    fn new(test: &str) -> Dir {
        let dir = Dir(std::env::temp_dir().join(format!("coldplate-{}-{test}", std::process::id())));
        let _ = fs::remove_dir_all(&dir.0);
        fs::create_dir_all(&dir.0).expect("there is room");
        let mut frame = FrameBuffer::new();
        for number in 0..2 {
            let header = SegmentHeader {
                name: name(number),
                cores: 1,
                first_sequence: number * 3 + 1,
                durable: number * 3,
                oldest_run: 1,
                oldest: 0,
                runs_from: 0,
                layout: 0,
                secret: 5,
                segment_bytes: SEGMENT_BYTES as u64,
            };
            let mut file = header.encode().to_vec();
            for sequence in header.first_sequence..header.first_sequence + 3 {
                frame.reset();
                frame.put(
                    Slot(sequence as u16),
                    format!("k\"{sequence}").as_bytes(),
                    b"v\xff\n",
                    Some(1000 + sequence),
                );
                frame.remove(Slot(7), b"gone");
                file.extend_from_slice(frame.seal(sequence, sequence - 1, header.nonce()));
            }
            file.resize(SEGMENT_BYTES, 0);
            fs::write(dir.path(number), file).expect("there is room");
        }
        dir
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(name(number).to_string())
    }

    fn flip(&self, number: u64, at: usize) {
        let mut bytes = fs::read(self.path(number)).expect("it is there");
        bytes[at] ^= 1;
        fs::write(self.path(number), bytes).expect("there is room");
    }

    /// What a task prints, with the directory left out, and whether the log is sound.
    fn run(&self, task: Task) -> (String, bool) {
        let mut out = Vec::new();
        let sound = run(task, self.0.clone(), &mut out).unwrap_or_else(|error| panic!("{error}"));
        (String::from_utf8(out).expect("text").replace(&self.0.display().to_string(), "DIR"), sound)
    }
}

fn exists(path: &Path, suffix: &str) -> bool {
    PathBuf::from(format!("{}{suffix}", path.display())).exists()
}

#[test]
fn the_command_line() {
    let task = |line: &str| {
        let (task, dir) = parse(line.split_whitespace().map(Into::into)).expect("it is understood");
        assert_eq!(dir, PathBuf::from("/d"));
        task
    };
    assert_eq!(task("check /d"), Task::Check);
    assert_eq!(task("repair /d"), Task::Repair { yes: false });
    assert_eq!(task("repair --yes /d"), Task::Repair { yes: true });
    assert_eq!(task("dump /d"), Task::Dump(Detail::Changes));
    assert_eq!(task("dump /d --keys"), Task::Dump(Detail::Keys));
    assert_eq!(task("dump --values /d"), Task::Dump(Detail::Values));
    for line in ["", "check", "check /d /e", "mend /d", "dump --keys --values /d", "check --yes /d"] {
        assert!(parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
    }
    super::cli::command().debug_assert();
}

#[test]
fn a_sound_log_is_left_alone() {
    let dir = Dir::new("sound");
    let (said, sound) = dir.run(Task::Check);
    let chain = "run 1, core 0: 2 segments, 6 frames, 12 records, 576 bytes: clean\n";
    assert_eq!((said, sound), (format!("{chain}DIR: a server can start with it\n"), true));
    assert_eq!(dir.run(Task::Repair { yes: true }), ("DIR: nothing to repair\n".to_owned(), true));
    assert!(!exists(&dir.path(1), ".damaged"));
}

#[test]
fn records_are_printed_one_a_line() {
    let dir = Dir::new("dump");
    let first = |detail| {
        let (said, sound) = dir.run(Task::Dump(detail));
        assert!(sound && said.lines().count() == 12, "{said}");
        said.lines().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(first(Detail::Keys), [r#""k\"1""#, r#""gone""#]);
    assert_eq!(first(Detail::Changes), [r#"1 0 1 put 1 "k\"1" 3 bytes expires 1001"#, r#"1 0 1 remove 7 "gone""#]);
    assert_eq!(first(Detail::Values), [r#"1 0 1 put 1 "k\"1" "v\xff\n" expires 1001"#, r#"1 0 1 remove 7 "gone""#]);
}

#[test]
fn a_torn_tail_is_cut_once_somebody_says_yes() {
    let dir = Dir::new("torn");
    let torn_at = HEADER_BYTES + 2 * 96;
    dir.flip(1, torn_at + 40);
    let before = fs::read(dir.path(1)).expect("it is there");
    let (said, sound) = dir.run(Task::Check);
    assert!(
        sound && said.contains("torn tail: DIR/0000000001-0000-000000000001.log: at 4288: torn at frame 6"),
        "{said}"
    );
    let (said, sound) = dir.run(Task::Repair { yes: false });
    assert!(!sound && said.contains("from byte 4288 on: 96 bytes, with 0 whole frames"), "{said}");
    assert_eq!(fs::read(dir.path(1)).expect("it is there"), before);
    let (said, sound) = dir.run(Task::Repair { yes: true });
    assert!(sound && said.ends_with("480 bytes: clean\nDIR: a server can start with it\n"), "{said}");
    let after = fs::read(dir.path(1)).expect("it is there");
    assert_eq!(after[..torn_at], before[..torn_at]);
    assert!(after.len() == before.len() && after[torn_at..].iter().all(|byte| *byte == 0));
    let kept = format!("{}.damaged", dir.path(1).display());
    assert_eq!(fs::read(kept).expect("a copy is kept"), before);
}

#[test]
fn a_corrupt_middle_takes_all_behind_it_along() {
    let dir = Dir::new("corrupt");
    dir.flip(0, HEADER_BYTES + 96 + 40);
    let (said, sound) = dir.run(Task::Check);
    let place = "CORRUPT: DIR/0000000001-0000-000000000000.log: at 4192: frame 2 is damaged";
    assert!(!sound && said.contains(place) && said.ends_with("DIR: no server starts with it\n"), "{said}");
    let (said, _) = dir.run(Task::Repair { yes: false });
    let lost = "from byte 4192 on and 1 later segments: 480 bytes, with 4 whole frames of 8 records";
    assert!(said.contains(lost), "{said}");
    fs::write(format!("{}.damaged", dir.path(1).display()), b"of another time").expect("there is room");
    let (said, sound) = dir.run(Task::Repair { yes: true });
    assert!(sound && said.contains("1 segments, 1 frames"), "{said}");
    assert!(exists(&dir.path(0), ".damaged") && exists(&dir.path(1), ".damaged.1") && !dir.path(1).exists());
}

#[test]
fn what_no_repair_can_mend_is_left_alone() {
    let dir = Dir::new("refused");
    fs::rename(dir.path(1), dir.path(2)).expect("it is there");
    let error = run(Task::Repair { yes: true }, dir.0.clone(), &mut Vec::new()).expect_err("it was renamed");
    assert!(matches!(error, ToolError::Refused { .. }), "{error}");
    assert!(dir.path(2).exists());
}

#[test]
fn a_missing_segment_takes_all_behind_it_along() {
    let dir = Dir::new("missing");
    fs::remove_file(dir.path(0)).expect("it is there");
    let (said, sound) = dir.run(Task::Check);
    assert!(!sound && said.contains("0000000001-0000-000000000000.log: is missing"), "{said}");
    dir.run(Task::Repair { yes: true });
    assert!(exists(&dir.path(1), ".damaged"));
}

#[test]
fn a_log_in_use_and_a_directory_without_one_are_not_touched() {
    let dir = Dir::new("locked");
    let lock = fs::File::create(dir.0.join("lock")).expect("there is room");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("nobody else has it");
    let refused = run(Task::Check, dir.0.clone(), &mut Vec::new());
    assert!(matches!(refused, Err(ToolError::InUse(_))));
    drop(lock);
    assert!(dir.run(Task::Check).1);
    let inner = dir.0.join("coldplate-log");
    fs::create_dir(&inner).expect("there is room");
    let empty = run(Task::Check, dir.0.clone(), &mut Vec::new());
    assert!(matches!(empty, Err(ToolError::Empty(path)) if path == inner), "what a server makes is looked for first");
}
