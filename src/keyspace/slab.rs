//! Item memory: 64 KiB pages, each cut into items of one size, addressed by 32 bits.
//!
//! Why not one heap allocation an item: 1 M keys of 15 + 32 bytes take 52 bytes each here where a
//! general allocator's 16-byte steps take 64, a table entry shrinks from a pointer to four bytes, and
//! a random live item (eviction) or every item that can expire (the sweep) is found without a list
//! through the items. Pages that empty go back to the allocator. Entirely safe code.

/// Bytes of a page; every page is one allocation of exactly this size.
pub const PAGE_BYTES: usize = 64 * 1024;
/// The most items in a page: an item's address is 21 bits of page and 11 bits of place in it.
const ITEMS_A_PAGE_MAX: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 11;
const ITEM_BYTES_MIN: usize = 32;
/// The largest item kept in a page; what is larger lives in an allocation of its own.
pub const ITEM_BYTES_MAX: usize = 4096;
/// Up to here sizes go in steps of four bytes, beyond in sixteenths of a doubling (6 % waste at most).
const FINE_BYTES_MAX: usize = 256;
const FINE_CLASSES: usize = (FINE_BYTES_MAX - ITEM_BYTES_MIN) / 4 + 1;
const CLASSES: usize = FINE_CLASSES + 4 * 16;
const NONE: u32 = u32::MAX;
const NO_INDEX: u16 = u16::MAX;
/// The slab's own bit in every item: byte 3, highest bit, set while the item is allocated.
const LIVE_BYTE: usize = 3;
const LIVE_BIT: u8 = 0x80;

/// Where an item lies: page and place in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemRef(pub u32);

impl ItemRef {
    fn new(page: u32, index: u16) -> ItemRef {
        ItemRef(page << INDEX_BITS | u32::from(index))
    }
    fn page(self) -> usize {
        (self.0 >> INDEX_BITS) as usize
    }
    fn index(self) -> usize {
        self.0 as usize & (ITEMS_A_PAGE_MAX - 1)
    }
}

/// What every access needs, kept apart from the bookkeeping so that more pages fit the cache.
struct Page {
    /// Empty while the row is vacant.
    bytes: Box<[u8]>,
    item_bytes: u32,
}

/// A page's bookkeeping.
struct Ledger {
    /// A lower bound of the expiries in the page; `u64::MAX` when none can expire.
    due_ms: u64,
    /// Neighbours in the list of pages of this family that have room.
    previous: u32,
    next: u32,
    family: u16,
    capacity: u16,
    /// Items handed out at least once; beyond it the page was never touched.
    fresh: u16,
    used: u16,
    /// First of the freed items, chained through their own bytes.
    free: u16,
}

/// The items of one shard. Items that can expire live in pages of their own.
pub struct Slab {
    pages: Vec<Page>,
    ledgers: Vec<Ledger>,
    vacant: Vec<u32>,
    /// First page with room, by family (size class and whether its items expire).
    open: Vec<u32>,
    used_bytes: usize,
}

/// The size class that holds `bytes`; `bytes` is at most [`ITEM_BYTES_MAX`].
fn class_of(bytes: usize) -> usize {
    if bytes <= FINE_BYTES_MAX {
        return bytes.max(ITEM_BYTES_MIN).div_ceil(4) - ITEM_BYTES_MIN / 4;
    }
    let doubling = (bytes - 1).ilog2();
    let step = 1usize << (doubling - 4);
    FINE_CLASSES + (doubling as usize - 8) * 16 + (bytes - (1 << doubling)).div_ceil(step) - 1
}

/// The bytes that an item of `bytes` occupies: its size class's.
pub fn class_bytes(bytes: usize) -> usize {
    if bytes <= FINE_BYTES_MAX {
        return bytes.max(ITEM_BYTES_MIN).next_multiple_of(4);
    }
    bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 4))
}

impl Default for Slab {
    fn default() -> Slab {
        Slab {
            pages: Vec::new(),
            ledgers: Vec::new(),
            vacant: Vec::new(),
            open: vec![NONE; CLASSES * 2],
            used_bytes: 0,
        }
    }
}

impl Slab {
    /// Bytes of the items handed out, each counted at its size class.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// An item of at least `bytes` (at most [`ITEM_BYTES_MAX`]); `None` when all 2 M pages are taken.
    /// The caller writes it whole, and must keep bit 31 of its first word set.
    pub fn allocate(&mut self, bytes: usize, expires: bool) -> Option<ItemRef> {
        let family = class_of(bytes) * 2 + usize::from(expires);
        let page = match self.open[family] {
            NONE => self.open_page(family, class_bytes(bytes))?,
            page => page,
        };
        let ledger = &mut self.ledgers[page as usize];
        let item_bytes = self.pages[page as usize].item_bytes as usize;
        let index = if ledger.free != NO_INDEX {
            let index = ledger.free;
            let at = usize::from(index) * item_bytes;
            let item = &self.pages[page as usize].bytes[at..at + 2];
            ledger.free = u16::from_le_bytes([item[0], item[1]]);
            index
        } else {
            ledger.fresh += 1;
            ledger.fresh - 1
        };
        ledger.used += 1;
        if ledger.used == ledger.capacity {
            self.unlink(page);
        }
        self.used_bytes += item_bytes;
        let item = ItemRef::new(page, index);
        self.bytes_mut(item)[LIVE_BYTE] = LIVE_BIT;
        Some(item)
    }

    /// Takes an item back.
    pub fn free(&mut self, item: ItemRef) {
        let page = item.page() as u32;
        let ledger = &mut self.ledgers[item.page()];
        let next_free = std::mem::replace(&mut ledger.free, item.index() as u16).to_le_bytes();
        let was_full = ledger.used == ledger.capacity;
        ledger.used -= 1;
        let now_empty = ledger.used == 0;
        let bytes = self.bytes_mut(item);
        assert!(bytes[LIVE_BYTE] & LIVE_BIT != 0, "an item is freed once");
        bytes[..4].copy_from_slice(&[next_free[0], next_free[1], 0, 0]);
        self.used_bytes -= self.pages[item.page()].item_bytes as usize;
        if was_full {
            self.link(page);
        }
        if now_empty {
            self.close_page(page);
        }
    }

    /// An item's bytes, its whole size class.
    #[inline]
    pub fn bytes(&self, item: ItemRef) -> &[u8] {
        let page = &self.pages[item.page()];
        let item_bytes = page.item_bytes as usize;
        let at = item.index() * item_bytes;
        &page.bytes[at..at + item_bytes]
    }

    /// The bytes where an item once was, if that memory is still the slab's; for hints, which may be stale.
    #[inline]
    pub fn try_bytes(&self, item: ItemRef) -> Option<&[u8]> {
        let page = self.pages.get(item.page())?;
        let item_bytes = page.item_bytes as usize;
        let at = item.index() * item_bytes;
        page.bytes.get(at..at + item_bytes)
    }

    /// As [`Slab::bytes`], to write.
    #[inline]
    pub fn bytes_mut(&mut self, item: ItemRef) -> &mut [u8] {
        let page = &mut self.pages[item.page()];
        let item_bytes = page.item_bytes as usize;
        let at = item.index() * item_bytes;
        &mut page.bytes[at..at + item_bytes]
    }

    /// Whether `item` is allocated; false too for a place that never was, or whose page is gone.
    #[inline]
    pub fn is_live(&self, item: ItemRef) -> bool {
        let Some(page) = self.pages.get(item.page()) else { return false };
        let at = item.index() * page.item_bytes as usize + LIVE_BYTE;
        page.bytes.get(at).is_some_and(|byte| byte & LIVE_BIT != 0)
    }

    /// Whether nearly every page row is taken: writes must be refused from here on.
    pub fn is_full(&self) -> bool {
        self.pages.len() - self.vacant.len() + CLASSES * 2 >= 1 << (32 - INDEX_BITS)
    }

    /// Number of page rows, vacant ones included: the range of [`Slab::page_items`].
    pub fn page_rows(&self) -> usize {
        self.pages.len()
    }

    /// The items of a page row that may be live, and whether they can expire.
    pub fn page_items(&self, row: usize) -> (impl Iterator<Item = ItemRef> + use<>, bool) {
        let ledger = &self.ledgers[row];
        let expires = ledger.capacity != 0 && ledger.family & 1 == 1;
        ((0..ledger.fresh).map(move |index| ItemRef::new(row as u32, index)), expires)
    }

    /// A live item drawn by `dice` (a uniform 64-bit number), or `None` when the draw missed.
    pub fn sample(&self, dice: u64, expiring_only: bool) -> Option<ItemRef> {
        let row = (((dice >> 32) * self.pages.len() as u64) >> 32) as usize;
        let ledger = self.ledgers.get(row)?;
        if expiring_only && ledger.family & 1 == 0 {
            return None;
        }
        let index = (((dice & 0xffff_ffff) * u64::from(ledger.fresh)) >> 32) as u16;
        let item = ItemRef::new(row as u32, index);
        self.is_live(item).then_some(item)
    }

    /// Notes that an item of the page expires at `at_ms`.
    pub fn note_expiry(&mut self, item: ItemRef, at_ms: u64) {
        let due_ms = &mut self.ledgers[item.page()].due_ms;
        *due_ms = (*due_ms).min(at_ms);
    }

    /// The page row's lower bound of expiries; `u64::MAX` for none.
    pub fn due_ms(&self, row: usize) -> u64 {
        self.ledgers[row].due_ms
    }

    /// Replaces the bound after a sweep has read every expiry of the page.
    pub fn set_due_ms(&mut self, row: usize, due_ms: u64) {
        self.ledgers[row].due_ms = due_ms;
    }

    fn open_page(&mut self, family: usize, item_bytes: usize) -> Option<u32> {
        let capacity = (PAGE_BYTES / item_bytes).min(ITEMS_A_PAGE_MAX) as u16;
        let page = Page { bytes: vec![0u8; PAGE_BYTES].into_boxed_slice(), item_bytes: item_bytes as u32 };
        let ledger = Ledger {
            due_ms: u64::MAX,
            previous: NONE,
            next: NONE,
            family: family as u16,
            capacity,
            fresh: 0,
            used: 0,
            free: NO_INDEX,
        };
        let row = match self.vacant.pop() {
            Some(row) => {
                self.pages[row as usize] = page;
                self.ledgers[row as usize] = ledger;
                row
            }
            None if self.pages.len() == 1 << (32 - INDEX_BITS) => return None,
            None => {
                self.pages.push(page);
                self.ledgers.push(ledger);
                self.pages.len() as u32 - 1
            }
        };
        self.link(row);
        Some(row)
    }

    /// Gives an empty page's memory back; its row waits for a new page. A family keeps its last page with
    /// room, so that a key set and deleted in turns does not clear 64 KiB each time.
    fn close_page(&mut self, row: u32) {
        let family = usize::from(self.ledgers[row as usize].family);
        if self.open[family] == row && self.ledgers[row as usize].next == NONE {
            return;
        }
        self.unlink(row);
        self.pages[row as usize].bytes = Box::default();
        let ledger = &mut self.ledgers[row as usize];
        (ledger.capacity, ledger.fresh, ledger.due_ms) = (0, 0, u64::MAX);
        self.vacant.push(row);
    }

    fn link(&mut self, page: u32) {
        let family = usize::from(self.ledgers[page as usize].family);
        let head = std::mem::replace(&mut self.open[family], page);
        let ledger = &mut self.ledgers[page as usize];
        (ledger.previous, ledger.next) = (NONE, head);
        if head != NONE {
            self.ledgers[head as usize].previous = page;
        }
    }

    fn unlink(&mut self, page: u32) {
        let Ledger { previous, next, family, .. } = self.ledgers[page as usize];
        match previous {
            NONE => self.open[usize::from(family)] = next,
            _ => self.ledgers[previous as usize].next = next,
        }
        if next != NONE {
            self.ledgers[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Size classes: every size fits its class, classes waste little, and the index agrees with the size.
    #[test]
    fn every_size_has_a_tight_class() {
        for bytes in 1..=ITEM_BYTES_MAX {
            let class = class_bytes(bytes);
            assert!(class >= bytes && class_of(bytes) < CLASSES, "{bytes} -> {class}");
            assert!(bytes < ITEM_BYTES_MIN || class - bytes <= (bytes / 16).max(3), "{bytes} -> {class}");
            assert_eq!(class_of(class), class_of(bytes), "{bytes}");
            assert_eq!(class_of(class + 1).min(CLASSES), class_of(bytes) + 1, "{bytes}");
            if class == ITEM_BYTES_MAX {
                break;
            }
        }
    }

    // A random history of allocations and frees against a model: no two live items share bytes, the
    // accounted bytes are exact, and emptied pages are given back.
    #[test]
    fn random_history_matches_a_model() {
        const STEPS: u32 = if cfg!(miri) { 300 } else { 200_000 };
        let mut slab = Slab::default();
        let mut live: Vec<(ItemRef, usize, u8)> = Vec::new();
        let mut dice = 88172645463325252u64;
        for step in 0..STEPS {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let growing = (step / (STEPS / 10)).is_multiple_of(2);
            if dice % 10 < if growing { 7 } else { 3 } || live.is_empty() {
                let bytes = 5 + (dice >> 8) as usize % if dice.is_multiple_of(50) { 4000 } else { 90 };
                let item = slab.allocate(bytes, dice & 64 != 0).expect("there is room");
                slab.bytes_mut(item)[4..bytes].fill(step as u8);
                live.push((item, bytes, step as u8));
            } else {
                let (item, bytes, mark) = live.swap_remove((dice >> 8) as usize % live.len());
                assert!(slab.is_live(item));
                assert!(slab.bytes(item)[4..bytes].iter().all(|b| *b == mark));
                slab.free(item);
                assert!(!slab.is_live(item));
            }
        }
        assert_eq!(slab.used_bytes(), live.iter().map(|(_, bytes, _)| class_bytes(*bytes)).sum::<usize>());
        let listed: usize =
            (0..slab.page_rows()).map(|row| slab.page_items(row).0.filter(|item| slab.is_live(*item)).count()).sum();
        assert_eq!(listed, live.len());
        for (item, ..) in live.drain(..) {
            slab.free(item);
        }
        let kept = slab.pages.iter().filter(|page| !page.bytes.is_empty()).count();
        assert!(slab.used_bytes() == 0 && kept <= CLASSES * 2, "{kept} pages kept");
    }

    #[test]
    #[should_panic(expected = "freed once")]
    fn a_double_free_is_a_bug_that_stops() {
        let mut slab = Slab::default();
        let (keep, item) = (slab.allocate(40, false), slab.allocate(40, false).expect("room"));
        slab.free(item);
        assert!(keep.is_some());
        slab.free(item);
    }
}
