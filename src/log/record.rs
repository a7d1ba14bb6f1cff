//! One change of one key, as it lies in a frame.

use bytemuck::{Pod, Zeroable};

use crate::types::{SLOTS, Slot};

/// What stands before a record's key.
pub const RECORD_HEADER_BYTES: usize = size_of::<Wire>();

/// A record's header as it lies in the file: the key and the value follow.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, packed)]
struct Wire {
    kind: u8,
    flags: u8,
    slot: u16,
    key_bytes: u32,
    value_bytes: u32,
    expiry_ms: u64,
}

/// A bit of [`Wire::flags`].
const RAW: u8 = 1;

/// What a record does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The key has this value and this expiry, whatever it had.
    #[default]
    Put = 1,
    /// The key is gone.
    Remove = 2,
    /// All keys of the shard are gone. The value says which slots it had, a bit each.
    Clear = 3,
}

impl Kind {
    fn parse(kind: u8) -> Option<Kind> {
        match kind {
            1 => Some(Kind::Put),
            2 => Some(Kind::Remove),
            3 => Some(Kind::Clear),
            _ => None,
        }
    }
}

/// One change, its key and value where they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: Kind,
    pub slot: Slot,
    pub key: &'a [u8],
    pub value: &'a [u8],
    /// An edit made the value, so its encoding is `raw`.
    pub raw: bool,
    /// Milliseconds since 1970.
    pub expiry_ms: Option<u64>,
}

/// What a record of so much takes of a frame.
pub fn record_bytes(key_bytes: usize, value_bytes: usize) -> usize {
    RECORD_HEADER_BYTES + key_bytes + value_bytes
}

impl<'a> Record<'a> {
    /// What the record takes of a frame.
    #[inline]
    pub fn bytes(&self) -> usize {
        record_bytes(self.key.len(), self.value.len())
    }

    /// Writes the record to where a frame has just so much room.
    #[inline]
    pub(super) fn encode(&self, out: &mut [u8]) {
        let wire = Wire {
            kind: self.kind as u8,
            flags: if self.raw { RAW } else { 0 },
            slot: self.slot.0,
            key_bytes: u32::try_from(self.key.len()).expect("no key is longer than an argument"),
            value_bytes: u32::try_from(self.value.len()).expect("no value is longer than an argument"),
            // 0 is none; a key that expired in 1970 does so a millisecond later.
            expiry_ms: self.expiry_ms.map_or(0, |at_ms| at_ms.max(1)),
        };
        let (header, rest) = out.split_at_mut(RECORD_HEADER_BYTES);
        let (key, value) = rest.split_at_mut(self.key.len());
        header.copy_from_slice(bytemuck::bytes_of(&wire));
        key.copy_from_slice(self.key);
        value.copy_from_slice(self.value);
    }

    /// Takes the place of the record that `bytes` begin with, if that one is of the same key and as long. Whether it did.
    #[inline]
    pub(super) fn replace(&self, bytes: &mut [u8]) -> bool {
        let is_alike = |old: Record| old.key == self.key && old.value.len() == self.value.len();
        if !Record::decode(bytes).is_some_and(|(old, _)| is_alike(old)) {
            return false;
        }
        self.encode(&mut bytes[..self.bytes()]);
        true
    }

    /// Reads the record that `bytes` begin with, and what follows it; none if they begin with no record.
    #[inline]
    pub(super) fn decode(bytes: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
        let (wire, rest) = bytes.split_at_checked(RECORD_HEADER_BYTES)?;
        let wire: Wire = bytemuck::pod_read_unaligned(wire);
        let (key, rest) = rest.split_at_checked(wire.key_bytes as usize)?;
        let (value, rest) = rest.split_at_checked(wire.value_bytes as usize)?;
        if wire.flags & !RAW != 0 || usize::from(wire.slot) >= SLOTS {
            return None;
        }
        let expiry_ms = Some(wire.expiry_ms).filter(|at_ms| *at_ms != 0);
        let record = Record {
            kind: Kind::parse(wire.kind)?,
            slot: Slot(wire.slot),
            key,
            value,
            raw: wire.flags & RAW != 0,
            expiry_ms,
        };
        Some((record, rest))
    }
}
