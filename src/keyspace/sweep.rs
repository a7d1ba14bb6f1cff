//! Active expiry: keys that expired and that nobody asks for are removed page by page.
//!
//! Items with an expiry share pages, and a page knows a lower bound of its expiries. A sweep walks the
//! pages past their bound and reads every expiry in them. Against a timing wheel: no memory a key, no
//! work when an expiry changes, and nothing to cancel; the price is that a page is read again as its bound
//! passes, at most once a sweep. Work a call is bounded; the hand goes on where it stopped.

use super::event::EventClasses;
use super::shard::Shard;
use super::slab::ItemRef;

impl Shard {
    /// Removes expired keys, reading about `items_max` expiries at most. True when it stopped at that bound.
    pub fn sweep(&mut self, now_ms: u64, items_max: usize) -> bool {
        let rows = self.slab.page_rows();
        let mut read = 0;
        for _ in 0..rows {
            let row = self.sweep_hand % rows;
            if self.slab.due_ms(row) <= now_ms {
                if read >= items_max {
                    return true;
                }
                read += self.sweep_page(row, now_ms);
            }
            self.sweep_hand = row + 1;
        }
        false
    }

    fn sweep_page(&mut self, row: usize, now_ms: u64) -> usize {
        let (mut read, mut due_ms) = (0, u64::MAX);
        let mut expired: Vec<ItemRef> = Vec::new();
        for item in self.slab.page_items(row).0 {
            read += 1;
            if !self.slab.is_live(item) {
                continue;
            }
            match self.expiry_ms(item) {
                Some(at_ms) if at_ms <= now_ms => expired.push(item),
                Some(at_ms) => due_ms = due_ms.min(at_ms),
                None => {}
            }
        }
        self.slab.set_due_ms(row, due_ms);
        self.counts.expired += expired.len() as u64;
        for item in expired {
            self.notify_item(EventClasses::EXPIRED, "expired", item);
            self.remove_found(item);
        }
        read
    }
}
