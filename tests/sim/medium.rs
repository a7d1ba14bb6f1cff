//! The disk of all cores, file by file: what is read, what is on stable storage, and what the end of the power makes of
//! the difference. Beside it the thread that makes files and takes them away.

use crate::rng::Rng;
use coldplate::log::{HEADER_BYTES, Segment, SegmentName, WIPED_BYTES};
use std::collections::{BTreeMap, VecDeque};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
/// Sectors behind the last write that may hold anything after the power failed.
const TAIL_SECTORS: usize = 6;

/// What is left of writes that no sync has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The first of them, however many.
    Later,
    /// Any of their sectors, each as it was at any time, and behind the end anything.
    Sectors,
}

struct File {
    bytes: Vec<u8>,
    stable: Vec<u8>,
    /// Writes that no sync has covered, in their order.
    pending: Vec<(usize, Vec<u8>)>,
    /// Where the last write that was synced ends.
    synced_to: usize,
}

#[derive(Clone, Copy)]
enum Order {
    /// Anew, or from one that is free.
    Make(SegmentName, usize, Option<SegmentName>),
    Remove(SegmentName),
    /// A run counts no less than others, since these switches.
    Finish(u64, u64),
    Unmark(u64),
}

#[derive(Default)]
pub struct Medium {
    files: BTreeMap<SegmentName, File>,
    /// What the keeper is asked for, and the event from which on it can be done.
    orders: VecDeque<(Order, u64)>,
    /// What became of files that were asked for.
    made: BTreeMap<SegmentName, bool>,
    /// Runs of which nothing counts.
    unfinished: Vec<u64>,
    /// Switches whose log was finished.
    finished: Vec<u64>,
    /// No file can be made.
    pub full: bool,
    pub removed: usize,
    pub taken_over: usize,
}

impl Medium {
    /// Runs that are marked so that nothing of them counts.
    pub fn unfinished(&self) -> Vec<u64> {
        self.unfinished.clone()
    }

    /// Marks a run, durably: nothing of it counts for now.
    pub fn mark(&mut self, run: u64) {
        self.unfinished.push(run);
    }

    /// Asks for the end of a run's mark, because it is whole.
    pub fn finish(&mut self, run: u64, switches: u64, due: u64) {
        self.orders.push_back((Order::Finish(run, switches), due));
    }

    /// The same, because nothing is left of it.
    pub fn unmark(&mut self, run: u64, due: u64) {
        self.orders.push_back((Order::Unmark(run), due));
    }

    pub fn take_finished(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.finished)
    }

    /// A run that is later than all of which there is a trace.
    pub fn next_run(&self) -> u64 {
        let orders = self.orders.iter().filter_map(|(order, _)| match order {
            Order::Make(name, ..) => Some(name.run),
            _ => None,
        });
        let runs = self.files.keys().map(|name| name.run).chain(self.unfinished.iter().copied());
        runs.chain(orders).max().unwrap_or(0) + 1
    }

    /// As the kernel has it.
    pub fn written(&self) -> Medium {
        let written =
            |file: &File| File { bytes: file.bytes.clone(), stable: Vec::new(), pending: Vec::new(), ..*file };
        let files = self.files.iter().map(|(name, file)| (*name, written(file))).collect();
        Medium { files, unfinished: self.unfinished.clone(), ..Medium::default() }
    }

    /// Asks for a file of zeros, or for one that is free under another name.
    pub fn make(&mut self, name: SegmentName, bytes: usize, free: Option<SegmentName>, due: u64) {
        self.orders.push_back((Order::Make(name, bytes, free), due));
    }

    pub fn remove(&mut self, name: SegmentName, due: u64) {
        self.orders.push_back((Order::Remove(name), due));
    }

    /// The keeper does what is due, one thing after the other.
    pub fn keep(&mut self, event: u64) {
        while self.orders.front().is_some_and(|(_, due)| *due <= event) {
            let Some((order, _)) = self.orders.pop_front() else { return };
            match order {
                Order::Make(name, bytes, free) => {
                    let taken = free.is_some_and(|free| match self.full {
                        // It could be, but would hide what is to be shown: it fails, and nothing is left of it.
                        true => {
                            self.files.remove(&free);
                            false
                        }
                        false => self.take_over(free, name),
                    });
                    if !taken && !self.full {
                        assert!(self.files.insert(name, File::blank(bytes)).is_none(), "{name} is there already");
                    }
                    self.made.insert(name, taken || !self.full);
                }
                Order::Finish(run, switches) => {
                    self.unfinished.retain(|marked| *marked != run);
                    self.finished.push(switches);
                }
                Order::Unmark(run) => self.unfinished.retain(|marked| *marked != run),
                Order::Remove(name) => self.removed += usize::from(self.files.remove(&name).is_some()),
            }
        }
    }

    /// Takes a file for another, with zeros where the next header and the first frame will be.
    fn take_over(&mut self, free: SegmentName, name: SegmentName) -> bool {
        self.sync(free);
        let Some(mut file) = self.files.remove(&free) else { return false };
        let wiped = WIPED_BYTES.min(file.bytes.len());
        file.bytes[..wiped].fill(0);
        file.stable[..wiped].fill(0);
        file.synced_to = 0;
        assert!(self.files.insert(name, file).is_none(), "{name} is there already");
        self.taken_over += 1;
        true
    }

    /// Whether the keeper has something to do; hurries it.
    pub fn hurry(&mut self) -> bool {
        self.orders.iter_mut().for_each(|(_, due)| *due = 0);
        !self.orders.is_empty()
    }

    /// Whether a file was made that its core has not taken yet, or could not be.
    pub fn has_made(&self, name: SegmentName) -> bool {
        self.made.contains_key(&name)
    }

    pub fn take_made(&mut self, name: SegmentName) -> Option<bool> {
        self.made.remove(&name)
    }

    pub fn write(&mut self, name: SegmentName, at: usize, bytes: &[u8]) {
        let file = self.files.get_mut(&name).expect("what is written to is there");
        file.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        file.pending.push((at, bytes.to_vec()));
    }

    pub fn sync(&mut self, name: SegmentName) {
        // One that was left may have been taken away.
        let Some(file) = self.files.get_mut(&name) else { return };
        for (at, bytes) in file.pending.drain(..) {
            file.stable[at..at + bytes.len()].copy_from_slice(&bytes);
            file.synced_to = file.synced_to.max(at + bytes.len());
        }
    }

    /// A sync that fails: nobody knows what it has covered, and the kernel keeps no more of it than the disk has.
    pub fn fail_sync(&mut self, name: SegmentName, rng: &mut Rng) {
        if let Some(file) = self.files.get_mut(&name) {
            file.lose_power(Loss::Sectors, rng);
        }
    }

    /// The process is gone: the kernel has all that was written, and what the keeper has not begun is not done.
    pub fn lose_process(&mut self) {
        self.orders.clear();
        self.made.clear();
        self.finished.clear();
    }

    /// The power is gone, and the last file may be half made.
    pub fn lose_power(&mut self, loss: Loss, rng: &mut Rng) {
        if let Some(&(Order::Make(name, bytes, free), _)) = self.orders.front()
            && rng.chance(50)
        {
            let most = rng.pick(&[1, HEADER_BYTES, bytes]);
            let bytes = rng.below(most);
            if !free.is_some_and(|free| self.take_over(free, name)) {
                self.files.insert(name, File::blank(bytes));
            }
        }
        self.lose_process();
        self.files.values_mut().for_each(|file| file.lose_power(loss, rng));
    }

    pub fn segments(&self) -> Vec<Segment> {
        let found = |(name, file): (&SegmentName, &File)| Segment::found(*name, file.bytes.len() as u64, &file.bytes);
        self.files.iter().map(found).collect()
    }

    /// Reads as much as there is room and file for.
    pub fn read(&self, name: SegmentName, offset: u64, space: &mut [u8]) -> usize {
        let Some(file) = self.files.get(&name) else { return 0 };
        let rest = &file.bytes[file.bytes.len().min(offset as usize)..];
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        count
    }

    /// As it is on stable storage.
    pub fn settled(&self) -> Medium {
        let stable =
            |file: &File| File { bytes: file.stable.clone(), stable: Vec::new(), pending: Vec::new(), ..*file };
        let files = self.files.iter().map(|(name, file)| (*name, stable(file))).collect();
        Medium { files, unfinished: self.unfinished.clone(), ..Medium::default() }
    }

    /// One bit turns, where it was safe.
    pub fn rot(&mut self, name: SegmentName, at: usize, bit: u8) {
        let file = self.files.get_mut(&name).expect("it was read just now");
        file.bytes[at] ^= 1 << bit;
        file.stable[at] ^= 1 << bit;
    }

    /// A file's bytes, to be tampered with by a planted fault.
    pub fn tamper(&mut self, name: SegmentName, with: impl FnOnce(&mut [u8])) {
        let file = self.files.get_mut(&name).expect("it was read just now");
        with(&mut file.bytes);
        file.stable.copy_from_slice(&file.bytes);
    }
}

impl File {
    fn blank(bytes: usize) -> File {
        File { bytes: vec![0; bytes], stable: vec![0; bytes], pending: Vec::new(), synced_to: 0 }
    }

    fn lose_power(&mut self, loss: Loss, rng: &mut Rng) {
        let writes = self.pending.len();
        match loss {
            Loss::Later => {
                let kept = rng.between(0, writes);
                for (at, bytes) in &self.pending[..kept] {
                    self.stable[*at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
            Loss::Sectors => self.lose_sectors(rng),
        }
        self.bytes.clone_from(&self.stable);
        self.pending.clear();
    }

    fn lose_sectors(&mut self, rng: &mut Rng) {
        let (writes, mood) = (self.pending.len(), rng.below(5));
        let mut sectors: Vec<usize> = Vec::new();
        for (at, bytes) in &self.pending {
            sectors.extend(at / SECTOR..(at + bytes.len()).div_ceil(SECTOR));
        }
        sectors.sort_unstable();
        sectors.dedup();
        let spared = if sectors.is_empty() { 0 } else { sectors[rng.below(sectors.len())] };
        for sector in &sectors {
            let kept = match mood {
                0 => 0,
                1 => writes,
                // All but one.
                2 => {
                    if *sector == spared {
                        0
                    } else {
                        writes
                    }
                }
                _ => {
                    let some = rng.between(0, writes);
                    rng.pick(&[0, writes, some])
                }
            };
            self.bring_over(*sector, kept);
        }
        // What was being written when the voltage fell may be anything; what was synced is not.
        let safe = self.synced_to.max(HEADER_BYTES).div_ceil(SECTOR);
        let end = sectors.last().map_or(safe, |last| last + 1).max(safe) + TAIL_SECTORS;
        let written_to = !self.pending.is_empty() && self.synced_to > 0;
        let percent = if written_to { rng.pick(&[0, 0, 10, 60]) } else { 0 };
        for sector in safe..end.min(self.stable.len() / SECTOR) {
            if rng.chance(percent) {
                let zeros = rng.chance(30);
                let place = &mut self.stable[sector * SECTOR..(sector + 1) * SECTOR];
                place.fill_with(|| if zeros { 0 } else { rng.next() as u8 });
            }
        }
    }

    /// A sector gets to the disk as it is after so many writes.
    fn bring_over(&mut self, sector: usize, kept: usize) {
        let (first, end) = (sector * SECTOR, (sector + 1) * SECTOR);
        for (at, bytes) in &self.pending[..kept] {
            let (from, to) = (first.max(*at), end.min(at + bytes.len()));
            if from < to {
                self.stable[from..to].copy_from_slice(&bytes[from - at..to - at]);
            }
        }
    }
}
