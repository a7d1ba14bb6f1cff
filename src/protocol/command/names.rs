//! From a name to its row: no allocation, and a few nanoseconds for the names that matter.
//!
//! One open-addressed table, built at compile time, is keyed by the name's first eight bytes in lower case.
//! For a name of at most eight letters, that word and the length are the name, so nothing else is compared.

/// A row that is found by its name, which is in lower case.
pub trait Named {
    fn name(&self) -> &str;
}

/// Rows by their names. `ENTRIES` is a power of two, and several times their number.
pub struct Names<R: 'static, const ENTRIES: usize> {
    entries: [Entry<R>; ENTRIES],
}

struct Entry<R: 'static> {
    word: u64,
    /// [`NO_NAME`] where the entry is free; `row` then means nothing.
    length: u32,
    /// Whether word and length identify the name without a comparison of the rest.
    exact: bool,
    row: &'static R,
}

impl<R> Clone for Entry<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Entry<R> {}

/// A length that no name has; requests are shorter.
const NO_NAME: u32 = u32::MAX;

impl<R: Named, const ENTRIES: usize> Names<R, ENTRIES> {
    /// The row of a name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&'static R> {
        let word = word_of(name);
        let place = Self::place_of(word);
        let entry = &self.entries[place];
        if entry.word == word && entry.length as usize == name.len() && entry.exact {
            return Some(entry.row);
        }
        Self::find_slow(name, word, place, &self.entries)
    }

    /// What is left after [`Names::find`]'s common case: long names, names displaced by a collision, and unknown ones. The
    /// arguments are in an order that spares the common case moving them.
    #[inline(never)]
    fn find_slow(name: &[u8], word: u64, mut place: usize, entries: &[Entry<R>; ENTRIES]) -> Option<&'static R> {
        loop {
            let entry = &entries[place % ENTRIES];
            if entry.length == NO_NAME {
                return None;
            }
            if entry.word == word && entry.row.name().as_bytes().eq_ignore_ascii_case(name) {
                return Some(entry.row);
            }
            place += 1;
        }
    }

    /// All that is in the table, place by place.
    #[cfg(test)]
    pub fn entries(&self) -> Vec<(u64, u32, bool, &str)> {
        self.entries.iter().map(|entry| (entry.word, entry.length, entry.exact, entry.row.name())).collect()
    }
}

impl<R, const ENTRIES: usize> Names<R, ENTRIES> {
    /// A table without names; any row does for what is free.
    pub const fn empty(free: &'static R) -> Self {
        Names { entries: [Entry { word: 0, length: NO_NAME, exact: false, row: free }; ENTRIES] }
    }

    pub const fn put(&mut self, name: &str, row: &'static R) {
        let name = name.as_bytes();
        let word = word_of(name);
        let mut place = Self::place_of(word);
        while self.entries[place % ENTRIES].length != NO_NAME {
            place += 1;
        }
        let exact = name.len() <= 8 && only_letters(name);
        self.entries[place % ENTRIES] = Entry { word, length: name.len() as u32, exact, row };
    }

    /// Multiplicative (Fibonacci) hashing: the product's top bits depend on each byte of the word.
    #[inline]
    const fn place_of(word: u64) -> usize {
        (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - ENTRIES.trailing_zeros())) as usize
    }
}

/// The first eight bytes, little-endian, letters in lower case, zeros past the name's end.
///
/// Bit 5 is set wherever bit 6 is. That lowers the letters and makes no other byte a letter, so for names of
/// letters it loses nothing; it does confuse `@` with a backquote, and the like.
#[inline]
const fn word_of(name: &[u8]) -> u64 {
    // Names shorter than a load are put together from loads that overlap: the shared bytes agree, so `|` joins them.
    let length = name.len();
    let word = if let Some(bytes) = name.first_chunk::<8>() {
        u64::from_le_bytes(*bytes)
    } else if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        u32::from_le_bytes(*head) as u64 | (u32::from_le_bytes(*tail) as u64) << (8 * (length - 4))
    } else if length > 0 {
        let middle = length / 2;
        name[0] as u64 | (name[middle] as u64) << (8 * middle) | (name[length - 1] as u64) << (8 * (length - 1))
    } else {
        0
    };
    word | (word >> 1) & 0x2020_2020_2020_2020
}

const fn only_letters(name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if !name[i].is_ascii_lowercase() {
            return false;
        }
        i += 1;
    }
    true
}
