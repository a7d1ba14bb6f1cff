//! Replies in request order, though some come back from other cores later than others.
//!
//! A slot is opened for each reply that cannot be encoded straight into the output: one that is awaited, or one
//! that is ready behind an awaited one and waits in the stash. Slots are numbered; a letter's answer names its
//! slot. As soon as the first slot is ready, it and the ready ones behind it move to the output.

use crate::protocol::resp::Output;
use std::collections::VecDeque;
use std::ops::Range;

/// One reply to come. Two words: a deep pipeline has many.
enum Slot<G> {
    Waiting {
        muted: bool,
    },
    /// Encoded, in that range of the stash.
    Ready(Range<u32>),
    /// Put together from parts.
    Gathering {
        gather: Box<G>,
        muted: bool,
    },
}

/// A range of the stash. Its replies' own bounds keep it far below 4 GiB.
fn narrow(range: Range<usize>) -> Range<u32> {
    let end = u32::try_from(range.end).expect("the bounds on waiting replies keep the stash small");
    range.start as u32..end
}

/// What became of a part that [`ReplyQueue::fill`] was given.
pub enum Fill<'a, G> {
    /// The reply was complete with it.
    Done,
    /// The slot gathers parts: add this one, then call [`ReplyQueue::complete`] if it was the last.
    Part(&'a mut G),
}

/// The replies that one connection is owed and that are not in its output yet.
pub struct ReplyQueue<G> {
    slots: VecDeque<Slot<G>>,
    /// The number of the first slot; numbers wrap.
    base: u32,
    stash: Output,
}

impl<G> Default for ReplyQueue<G> {
    fn default() -> ReplyQueue<G> {
        ReplyQueue { slots: VecDeque::new(), base: 0, stash: Output::default() }
    }
}

impl<G> ReplyQueue<G> {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Number of replies that are awaited or wait behind such.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The numbers of the slots that are open.
    #[inline]
    pub fn numbers(&self) -> Range<u32> {
        self.base..self.base.wrapping_add(self.slots.len() as u32)
    }

    /// The bytes of replies that wait behind awaited ones.
    pub fn stash(&self) -> &[u8] {
        &self.stash.bytes
    }

    /// Bytes of replies that wait behind awaited ones, large values included.
    pub fn stashed_bytes(&self) -> usize {
        self.stash.len_bytes()
    }

    /// Opens a slot for a reply that another core will give; answers its number.
    #[inline]
    pub fn wait(&mut self, muted: bool) -> u32 {
        self.push(Slot::Waiting { muted })
    }

    /// Opens a slot for a reply of several parts.
    pub fn gather(&mut self, gather: G, muted: bool) -> u32 {
        self.push(Slot::Gathering { gather: Box::new(gather), muted })
    }

    /// Encodes a reply that is ready but not first.
    #[inline]
    pub fn ready<R>(&mut self, encode: impl FnOnce(&mut Output) -> R) -> R {
        let from = self.stash.bytes.len();
        let result = encode(&mut self.stash);
        let range = from..self.stash.bytes.len();
        self.push(Slot::Ready(narrow(range)));
        result
    }

    /// Takes the awaited reply of slot `number`: `range` of `part`. Whoever fills calls [`ReplyQueue::settle`]
    /// when a batch of answers has been filled in.
    #[inline]
    pub fn fill(&mut self, number: u32, part: &Output, range: Range<usize>, output: &mut Output) -> Fill<'_, G> {
        self.fill_by(number, output, |out| out.append(part, range))
    }

    /// The same with a reply that lies in one piece.
    #[inline]
    pub fn fill_bytes(&mut self, number: u32, reply: &[u8], output: &mut Output) -> Fill<'_, G> {
        self.fill_by(number, output, |out| out.bytes.extend_from_slice(reply))
    }

    #[inline]
    fn fill_by(&mut self, number: u32, output: &mut Output, add: impl FnOnce(&mut Output)) -> Fill<'_, G> {
        let index = self.index(number);
        if let Slot::Waiting { muted } = self.slots[index] {
            if index == 0 {
                if !muted {
                    add(output);
                }
                self.pop();
            } else {
                let from = self.stash.bytes.len();
                if !muted {
                    add(&mut self.stash);
                }
                self.slots[index] = Slot::Ready(narrow(from..self.stash.bytes.len()));
            }
            return Fill::Done;
        }
        match &mut self.slots[index] {
            Slot::Gathering { gather, .. } => Fill::Part(gather),
            _ => panic!("slot {number} was answered twice"),
        }
    }

    /// What a gathering slot has so far.
    pub fn part(&mut self, number: u32) -> &mut G {
        let index = self.index(number);
        match &mut self.slots[index] {
            Slot::Gathering { gather, .. } => gather,
            _ => panic!("slot {number} gathers nothing"),
        }
    }

    /// Closes a gathering slot with its whole reply, encoded by `encode`.
    pub fn complete(&mut self, number: u32, encode: impl FnOnce(&mut Output, G)) {
        let index = self.index(number);
        let from = self.stash.bytes.len();
        let slot = std::mem::replace(&mut self.slots[index], Slot::Ready(narrow(from..from)));
        let Slot::Gathering { gather, muted } = slot else { panic!("slot {number} gathers nothing") };
        if !muted {
            encode(&mut self.stash, *gather);
            self.slots[index] = Slot::Ready(narrow(from..self.stash.bytes.len()));
        }
    }

    /// Moves the replies that are ready, up to the first awaited one, to the output.
    #[inline]
    pub fn settle(&mut self, output: &mut Output) {
        while let Some(Slot::Ready(range)) = self.slots.front() {
            output.append(&self.stash, range.start as usize..range.end as usize);
            self.pop();
        }
    }

    fn push(&mut self, slot: Slot<G>) -> u32 {
        self.slots.push_back(slot);
        self.numbers().end.wrapping_sub(1)
    }

    fn pop(&mut self) {
        self.slots.pop_front();
        self.base = self.base.wrapping_add(1);
        if self.slots.is_empty() {
            self.stash.clear();
        }
    }

    fn index(&self, number: u32) -> usize {
        let index = number.wrapping_sub(self.base) as usize;
        assert!(index < self.slots.len(), "an answer for slot {number}, which is not open");
        index
    }
}
