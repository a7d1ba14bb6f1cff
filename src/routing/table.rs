//! The 16,384 slots placed on cores: the ring compiled into an array, so that routing a key is one load.
//!
//! A plain ring is not even enough for this. However many points a core has, slots fall on cores like balls into bins:
//! at 64 cores, with 256 slots each, the fullest gets 1.16 of the mean (1.05 at 3 cores, 1.20 at 128). So slots are
//! placed by consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded
//! Loads", 2016): a core takes at most `ceil((1 + slack) * its weighted share)` slots, and a slot that finds its core
//! full goes on clockwise to the next with room. The price is movement: a change of cores also moves the others' rooms.
//!
//! Measured at every count from 1 to 64 cores of equal weight; movement is slots moved over the least possible:
//!
//! | points a core | slack | fullest core over mean | movement, add one | movement, remove any one |
//! |---|---|---|---|---|
//! | 1,024 | none | up to 1.19 | mean 1.00, up to 1.14 | 1.00 always |
//! | 512 | 0.01 | up to 1.013 | mean 1.22, up to 1.54 | mean 1.27, up to 1.52 |
//! | 1,024 | 0.01 | up to 1.013 | mean 1.17, up to 1.43 | mean 1.23, up to 1.50 |
//! | 1,024 | 0.0125 | up to 1.016 | mean 1.16, up to 1.40 | mean 1.21, up to 1.48 |
//! | 1,024 | 0.02 | up to 1.023 | mean 1.13, up to 1.39 | mean 1.17, up to 1.42 |
//!
//! Chosen: 1,024 points, so that few slots need to move on, and a slack of 0.0125, the least tried that keeps every
//! movement under 1.5: two cores differ by 2.5 % at most, where 0.02 would let them differ by 4. Limits: the bound is
//! from above only, a core may fall short (0.88 of the mean at worst, with 55 cores); and past 64 cores, where a core
//! has few slots, adding one moved 1.6 times the least. `bench/routing.rs` prints all of this by count.

use super::error::RoutingError;
use super::ring::{HashRing, Node, mix};
use crate::types::{CORES_MAX, CoreId, SLOTS, Slot};

/// Points per unit of weight that placement on cores uses unless the config says otherwise. [`CORES_MAX`] cores of
/// weight 1 with these fill a ring exactly.
pub const VNODES_DEFAULT: usize = 1024;

/// How far past its share of slots a core may go, as a fraction of that share.
pub(super) const SLACK_DEFAULT: f64 = 0.0125;

/// Which core owns each slot. Packed to the bits that the cores need, so that it stays in a core's nearest cache beside
/// everything else: 2 KiB for two cores, 32 KiB past 256.
///
/// The same cores, `vnodes` and weights give the same table in every process, on every machine.
///
/// ```
/// use coldplate::routing::{SlotTable, VNODES_DEFAULT, slot_of};
///
/// let four = SlotTable::compile(4, VNODES_DEFAULT, &[])?;
/// let owner = four.owner(slot_of(b"user:42"));
/// assert!(four.slots_of(owner).any(|slot| slot == slot_of(b"user:42")));
/// assert!(four.counts().iter().all(|&slots| slots <= 4148), "at most 1.25 % above 4,096");
///
/// // A fifth core takes about a fifth of the slots; the others stay where they are.
/// let five = SlotTable::compile(5, VNODES_DEFAULT, &[])?;
/// assert!(five.moved_from(&four) < 16_384 / 5 * 3 / 2);
/// # Ok::<(), coldplate::routing::RoutingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotTable {
    words: Box<[u64]>,
    /// An owner takes `1 << width_log2` bits.
    width_log2: u32,
    cores: usize,
}

impl SlotTable {
    /// Places the slots on the cores `0..cores`, which stand on the ring as `core-0`, `core-1` and so on. `weights` has
    /// one weight a core, or is empty where all are equal. Takes 0.3 ms for 2 cores, 64 ms for 1,024.
    pub fn compile(cores: usize, vnodes: usize, weights: &[f64]) -> Result<SlotTable, RoutingError> {
        check_cores(cores, weights)?;
        let mut ring = HashRing::new(vnodes)?;
        ring.extend((0..cores).map(|core| Node {
            name: format!("core-{core}"),
            value: CoreId(core as u16),
            weight: weights.get(core).copied().unwrap_or(1.0),
        }))?;
        SlotTable::from_ring(&ring, SLACK_DEFAULT)
    }

    /// Places the slots on the cores of a ring, each at most `1 + slack` times its share, rounded up. A slack of
    /// `f64::INFINITY` leaves the plain ring.
    ///
    /// ```
    /// use coldplate::routing::{HashRing, SlotTable};
    /// use coldplate::types::CoreId;
    ///
    /// let mut ring = HashRing::new(100)?;
    /// ring.add("slow", CoreId(0), 1.0)?;
    /// ring.add("fast", CoreId(1), 3.0)?;
    /// assert_eq!(SlotTable::from_ring(&ring, 0.0)?.counts(), [4096, 12288]);
    /// # Ok::<(), coldplate::routing::RoutingError>(())
    /// ```
    pub fn from_ring(ring: &HashRing<CoreId>, slack: f64) -> Result<SlotTable, RoutingError> {
        let cores = ring.nodes().iter().map(|node| node.value.index() + 1).max().ok_or(RoutingError::NoNodes)?;
        let mut table = SlotTable::blank(cores);
        for (slot, row) in (0..).map(Slot).zip(bounded(ring, slack)?) {
            table.set(slot, ring.nodes()[row].value);
        }
        Ok(table)
    }

    /// All slots belong to core 0.
    fn blank(cores: usize) -> SlotTable {
        let bits = usize::BITS - (cores - 1).leading_zeros();
        let width_log2 = bits.max(1).next_power_of_two().ilog2();
        SlotTable { words: vec![0; (SLOTS << width_log2) / 64].into_boxed_slice(), width_log2, cores }
    }

    /// Gives a slot of core 0 to another.
    fn set(&mut self, slot: Slot, owner: CoreId) {
        let (word, shift) = place(slot, self.width_log2);
        self.words[word] |= u64::from(owner.0) << shift;
    }

    /// Gives each core one range of slots, in order, as long as its weight asks. For clients that are told who owns which
    /// slot: the ring scatters two cores' slots over 8,051 ranges, and each would be an entry of 110 bytes in what every
    /// client reads and keeps. The price: another number of cores moves up to half of all slots, where the ring moves a core's
    /// share.
    ///
    /// ```
    /// use coldplate::routing::SlotTable;
    /// use coldplate::types::{CoreId, Slot};
    ///
    /// let table = SlotTable::contiguous(3, &[])?;
    /// assert_eq!(table.ranges().nth(1), Some((CoreId(1), Slot(5461), Slot(10922))));
    /// # Ok::<(), coldplate::routing::RoutingError>(())
    /// ```
    pub fn contiguous(cores: usize, weights: &[f64]) -> Result<SlotTable, RoutingError> {
        check_cores(cores, weights)?;
        let weight = |core: usize| weights.get(core).copied().unwrap_or(1.0);
        if let Some(core) = (0..cores).find(|core| !weight(*core).is_finite() || weight(*core) <= 0.0) {
            return Err(RoutingError::InvalidWeight { name: format!("core-{core}"), weight: weight(core) });
        }
        let total: f64 = (0..cores).map(weight).sum();
        let mut table = SlotTable::blank(cores);
        let (mut sum, mut from) = (0.0, 0);
        for core in 0..cores {
            sum += weight(core);
            let end = if core + 1 == cores { SLOTS } else { (SLOTS as f64 * sum / total).round() as usize };
            for slot in from..end {
                table.set(Slot(slot as u16), CoreId(core as u16));
            }
            from = end;
        }
        Ok(table)
    }

    /// The core that owns a slot. Panics past the last slot, which [`slot_of`](super::slot_of) never gives.
    #[inline]
    pub fn owner(&self, slot: Slot) -> CoreId {
        let (word, shift) = place(slot, self.width_log2);
        let mask = (1 << (1 << self.width_log2)) - 1;
        CoreId((self.words[word] >> shift & mask) as u16)
    }

    /// One more than the highest core on the ring.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// The slots of one core, ascending.
    pub fn slots_of(&self, core: CoreId) -> impl Iterator<Item = Slot> {
        all_slots().filter(move |slot| self.owner(*slot) == core)
    }

    /// Runs of slots with one owner, ascending: the owner, the first slot and the last.
    pub fn ranges(&self) -> impl Iterator<Item = (CoreId, Slot, Slot)> {
        let mut from = 0;
        std::iter::from_fn(move || {
            if from == SLOTS {
                return None;
            }
            let owner = self.owner(Slot(from as u16));
            let end = (from..SLOTS).find(|slot| self.owner(Slot(*slot as u16)) != owner).unwrap_or(SLOTS);
            let range = (owner, Slot(from as u16), Slot(end as u16 - 1));
            from = end;
            Some(range)
        })
    }

    /// A number that tables which place slots alike have in common, in every process: FNV-1a over the owners.
    pub fn digest(&self) -> u64 {
        all_slots().fold(0xcbf2_9ce4_8422_2325, |hash, slot| {
            (hash ^ u64::from(self.owner(slot).0)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// How many slots each core owns, by core.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.cores];
        for slot in all_slots() {
            counts[self.owner(slot).index()] += 1;
        }
        counts
    }

    /// How many slots have another owner here than in `other`: what a change from it to this table moves.
    pub fn moved_from(&self, other: &SlotTable) -> usize {
        all_slots().filter(|slot| self.owner(*slot) != other.owner(*slot)).count()
    }
}

fn check_cores(cores: usize, weights: &[f64]) -> Result<(), RoutingError> {
    match cores {
        0 => Err(RoutingError::NoNodes),
        _ if cores > CORES_MAX => Err(RoutingError::TooManyCores { cores, cores_max: CORES_MAX }),
        _ if !weights.is_empty() && weights.len() != cores => {
            Err(RoutingError::WeightCount { weights: weights.len(), cores })
        }
        _ => Ok(()),
    }
}

fn all_slots() -> impl Iterator<Item = Slot> {
    (0..SLOTS as u16).map(Slot)
}

/// Where an owner lies: its word, and how far to the left in it.
#[inline]
fn place(slot: Slot, width_log2: u32) -> (usize, u32) {
    let bit = slot.index() << width_log2;
    (bit / 64, (bit % 64) as u32)
}

/// The row in a ring's nodes of the owner of each slot, in the order of slots, with loads bounded to `1 + slack` times a
/// node's share.
pub(super) fn bounded<N>(ring: &HashRing<N>, slack: f64) -> Result<impl Iterator<Item = usize>, RoutingError> {
    if slack.is_nan() || slack < 0.0 {
        return Err(RoutingError::InvalidSlack { slack });
    }
    let mut room = rooms(ring, slack);
    // Always in the order of slots: which of two slots finds a core full must not depend on anything else.
    Ok((0..SLOTS as u64).map(move |slot| {
        let row = ring.rows_from(mix(slot + 1)).find(|&row| room[row] > 0);
        let row = row.expect("the rooms hold all slots");
        room[row] -= 1;
        row
    }))
}

/// How many slots each node of the ring may take, by row. Rounded up, so together at least all slots.
fn rooms<N>(ring: &HashRing<N>, slack: f64) -> Vec<usize> {
    let weight: f64 = ring.nodes().iter().map(|node| node.weight).sum();
    let slots = SLOTS as f64 * (1.0 + slack);
    ring.nodes().iter().map(|node| (slots * (node.weight / weight)).ceil() as usize).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::routing::point_of;

    fn table(cores: usize) -> SlotTable {
        SlotTable::compile(cores, VNODES_DEFAULT, &[]).expect("a good count")
    }

    /// What a change moved, over the least that any placement would have to move.
    fn movement(more: &SlotTable, fewer: &SlotTable) -> f64 {
        more.moved_from(fewer) as f64 / (SLOTS as f64 / more.cores() as f64)
    }

    /// Placement is a contract: a core that starts anew must find the same slots as before. A change of this checksum
    /// moves every user's keys and belongs in the changelog.
    #[test]
    fn golden() {
        let four = table(4);
        let owners: Vec<u8> = all_slots().map(|slot| four.owner(slot).0 as u8).collect();
        assert_eq!(point_of(&owners), 0xC307_72C4_02A6_FD0A);
        assert_eq!(table(4).counts(), [4110, 4148, 3978, 4148]);
    }

    /// One range a core, in order, of its weighted share to a slot, whatever the number of cores; the ring's would be
    /// thousands.
    #[test]
    fn contiguous_has_one_range_a_core() {
        let four = SlotTable::contiguous(4, &[]).expect("four");
        let ranges: Vec<(u16, u16, u16)> = four.ranges().map(|(core, a, b)| (core.0, a.0, b.0)).collect();
        assert_eq!(ranges, [(0, 0, 4095), (1, 4096, 8191), (2, 8192, 12287), (3, 12288, 16383)]);
        let uneven = SlotTable::contiguous(3, &[1.0, 2.0, 1.0]).expect("three");
        assert_eq!(uneven.counts(), [4096, 8192, 4096]);
        for cores in [1, 2, 3, 7, 100, CORES_MAX] {
            let table = SlotTable::contiguous(cores, &[]).expect("a good count");
            assert_eq!(table.ranges().count(), cores);
            let counts = table.counts();
            assert_eq!(counts.iter().sum::<usize>(), SLOTS);
            assert!(counts.iter().all(|slots| slots.abs_diff(SLOTS / cores) <= 1), "{cores} cores: {counts:?}");
        }
        assert_eq!(SlotTable::contiguous(0, &[]), Err(RoutingError::NoNodes));
        assert_eq!(SlotTable::contiguous(2, &[1.0]), Err(RoutingError::WeightCount { weights: 1, cores: 2 }));
        assert!(SlotTable::contiguous(2, &[1.0, f64::NAN]).is_err());
        assert!(SlotTable::contiguous(2, &[1.0, 0.0]).is_err());
        let ring: Vec<usize> = [1, 2, 4, 64].iter().map(|cores| table(*cores).ranges().count()).collect();
        assert_eq!(ring, [1, 8051, 12163, 16106]);
    }

    /// At every count to 64, and some past it, the fullest core is within 3 % of the mean, and one core more or fewer
    /// moves at most half more than it must.
    #[test]
    fn even_and_moves_little() {
        let mut before = table(1);
        for cores in 2..=65 {
            let after = table(cores);
            let max = *after.counts().iter().max().expect("cores") as f64;
            assert!(max / (SLOTS as f64 / cores as f64) <= 1.03, "{cores} cores, the fullest has {max} slots");
            let ratio = movement(&after, &before);
            assert!(ratio <= 1.5, "from {} to {cores} cores moves {ratio} of the least", cores - 1);
            before = after;
        }
        for cores in [128, CORES_MAX] {
            let counts = table(cores).counts();
            let bound = (SLOTS as f64 / cores as f64 * (1.0 + SLACK_DEFAULT)).ceil() as usize;
            assert!(counts.iter().all(|&slots| (1..=bound).contains(&slots)), "{cores} cores: {counts:?}");
        }
    }

    /// Any core may go, not just the last: its slots move, and few others.
    #[test]
    fn remove_any() {
        for cores in [2, 5, 16, 48] {
            let mut ring = HashRing::new(VNODES_DEFAULT).expect("vnodes");
            for core in 0..cores {
                ring.add(&format!("core-{core}"), CoreId(core), 1.0).expect("distinct");
            }
            let before = SlotTable::from_ring(&ring, SLACK_DEFAULT).expect("cores");
            for gone in (0..cores).step_by(usize::from(cores) / 2) {
                let mut ring = ring.clone();
                ring.remove(&format!("core-{gone}")).expect("it is there");
                let after = SlotTable::from_ring(&ring, SLACK_DEFAULT).expect("cores");
                let had = before.slots_of(CoreId(gone)).count();
                assert_eq!(after.slots_of(CoreId(gone)).count(), 0);
                let moved = after.moved_from(&before);
                assert!(
                    moved >= had && moved as f64 <= 1.5 * had as f64,
                    "{gone} of {cores}: {had} had, {moved} moved"
                );
            }
        }
    }

    /// Each mistake is told with its data.
    #[test]
    fn mistakes() {
        assert_eq!(SlotTable::compile(0, 1, &[]), Err(RoutingError::NoNodes));
        assert_eq!(SlotTable::compile(2, 0, &[]), Err(RoutingError::NoVnodes));
        assert_eq!(SlotTable::compile(2, 1, &[1.0]), Err(RoutingError::WeightCount { weights: 1, cores: 2 }));
        let error = SlotTable::compile(2, 1, &[1.0, -2.0]).expect_err("a negative weight");
        assert_eq!(error, RoutingError::InvalidWeight { name: "core-1".into(), weight: -2.0 });
        let cores = CORES_MAX + 1;
        assert_eq!(SlotTable::compile(cores, 1, &[]), Err(RoutingError::TooManyCores { cores, cores_max: CORES_MAX }));
        let mut ring = HashRing::new(1).expect("one");
        ring.add("core-0", CoreId(0), 1.0).expect("the first");
        assert_eq!(SlotTable::from_ring(&ring, -0.1), Err(RoutingError::InvalidSlack { slack: -0.1 }));
        assert!(SlotTable::from_ring(&ring, f64::NAN).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever the weights, slots are all owned, by the right count, and no core is past its weighted bound; one
        /// falls short of its share only by what the others together may exceed theirs.
        #[test]
        fn weights_honoured(weights in proptest::collection::vec(0.1_f64..8.0, 1..40), vnodes in 1_usize..300) {
            let table = SlotTable::compile(weights.len(), vnodes, &weights).expect("good weights");
            let total: f64 = weights.iter().sum();
            let counts = table.counts();
            prop_assert_eq!(counts.iter().sum::<usize>(), SLOTS);
            for (core, (&slots, weight)) in (0..).zip(counts.iter().zip(&weights)) {
                let share = SLOTS as f64 * weight / total;
                let others = (SLOTS as f64 - share) * SLACK_DEFAULT + weights.len() as f64;
                prop_assert!(slots as f64 <= (share * (1.0 + SLACK_DEFAULT)).ceil());
                prop_assert!(slots as f64 >= share - others, "core {} has {} of a share of {}", core, slots, share);
                prop_assert_eq!(table.slots_of(CoreId(core)).count(), slots);
                prop_assert!(table.slots_of(CoreId(core)).all(|slot| table.owner(slot) == CoreId(core)));
            }
            prop_assert_eq!(&table, &SlotTable::compile(weights.len(), vnodes, &weights).expect("the same again"));
        }
    }
}
