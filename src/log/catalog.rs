//! What a directory's segments are together: which are dead, and which chains the others make.

use super::error::LogError;
use super::header::{HEADER_BYTES, SegmentHeader};
use super::name::SegmentName;
use crate::types::CoreId;

/// A segment as it was found.
#[derive(Clone, Debug)]
pub struct Segment {
    pub name: SegmentName,
    pub file_bytes: u64,
    pub header: Result<SegmentHeader, LogError>,
}

impl Segment {
    /// A file of so many bytes, of which `block` holds the first [`HEADER_BYTES`], or all if there are fewer.
    pub fn found(name: SegmentName, file_bytes: u64, block: &[u8]) -> Segment {
        let block = &block[..block.len().min(HEADER_BYTES)];
        Segment { name, file_bytes, header: SegmentHeader::decode(name, block) }
    }
}

/// What one core wrote in one run, as far as it still counts: its segments in order.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(super) segments: Vec<Segment>,
    /// Of its headers; none if no header can be read.
    pub(super) secret: Option<u64>,
    pub(super) refused: Option<LogError>,
}

impl Chain {
    /// One segment by itself, out of its chain.
    pub fn of(segment: Segment) -> Chain {
        let (secret, refused) = match &segment.header {
            Ok(header) => (Some(header.secret), None),
            Err(error) => (None, Some(error.clone())),
        };
        Chain { segments: vec![segment], secret, refused }
    }

    pub fn run(&self) -> u64 {
        self.segments[0].name.run
    }

    pub fn core(&self) -> CoreId {
        self.segments[0].name.core
    }

    /// Its segments in order; there is at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Why it is not read at all, if its segments do not belong together.
    pub fn refused(&self) -> Option<&LogError> {
        self.refused.as_ref()
    }

    /// Whether keys are placed in it as by the table with this digest, and so are all of one core today as well.
    pub fn has_layout(&self, layout: u64) -> bool {
        self.segments.iter().flat_map(|segment| &segment.header).all(|header| header.layout == layout)
    }
}

/// All segments of a directory.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// In the order in which they are replayed: by run, then by core.
    pub chains: Vec<Chain>,
    /// Segments that do not count any more.
    pub dead: Vec<SegmentName>,
}

impl Catalog {
    /// Whether each core finds all keys that are its own today in its own chains. A header that cannot be read says nothing
    /// of a layout, and its chain has to be read by somebody all the same.
    pub fn is_placed_by(&self, layout: u64, cores: usize) -> bool {
        self.chains.iter().all(|chain| chain.core().index() < cores && chain.has_layout(layout))
    }

    /// Sorts out segments in any order, or says why they are no log. Of runs that are `unfinished` nothing counts.
    pub fn new(segments: Vec<Segment>, unfinished: &[u64]) -> Result<Catalog, LogError> {
        let catalog = Catalog::sort_out(segments, unfinished);
        let refused = catalog.chains.iter().find_map(|chain| chain.refused.clone());
        refused.map_or(Ok(catalog), Err)
    }

    /// The same for whoever wants to see also what is [refused](Chain::refused).
    pub fn sort_out(mut segments: Vec<Segment>, unfinished: &[u64]) -> Catalog {
        segments.sort_by_key(|segment| segment.name);
        let is_finished = |name: &SegmentName| !unfinished.contains(&name.run);
        let finished = || segments.iter().filter(|segment| is_finished(&segment.name));
        let headers = || finished().flat_map(|segment| &segment.header);
        let runs_from = headers().map(|header| header.runs_from).max().unwrap_or(0);
        // Of each core, from where on its segments count.
        let mut oldest: Vec<(CoreId, (u64, u64))> =
            headers().map(|header| (header.name.core, (header.oldest_run, header.oldest))).collect();
        oldest.sort_by_key(|(core, from)| (*core, std::cmp::Reverse(*from)));
        oldest.dedup_by_key(|(core, _)| *core);
        let oldest = |core: CoreId| {
            let at = oldest.binary_search_by_key(&core, |(core, _)| *core);
            at.map_or((0, 0), |at| oldest[at].1)
        };
        let counts = |name: &SegmentName| {
            is_finished(name) && name.run >= runs_from && (name.run, name.number) >= oldest(name.core)
        };
        let mut catalog = Catalog::default();
        for segment in &segments {
            let SegmentName { run, core, .. } = segment.name;
            match catalog.chains.last_mut() {
                _ if !counts(&segment.name) => catalog.dead.push(segment.name),
                Some(chain) if (chain.run(), chain.core()) == (run, core) => chain.segments.push(segment.clone()),
                _ => catalog.chains.push(Chain { segments: vec![segment.clone()], secret: None, refused: None }),
            }
        }
        for chain in &mut catalog.chains {
            let (run, number) = oldest(chain.core());
            chain.refused = chain.check(if run == chain.run() { number } else { 0 }).err();
        }
        catalog
    }
}

impl Chain {
    /// Checks that it begins with segment `first`, lacks none, and is of one secret, which it takes down.
    fn check(&mut self, first: u64) -> Result<(), LogError> {
        for (at, segment) in self.segments.iter().enumerate() {
            let SegmentName { run, core, .. } = segment.name;
            let number = if at == 0 { first } else { self.segments[at - 1].name.next().number };
            let promises = at == 0 || self.segments[at..].iter().any(|later| later.header.is_ok());
            if segment.name.number != number && promises {
                return Err(LogError::Missing { name: SegmentName { run, core, number }, later: segment.name });
            }
            match &segment.header {
                Ok(header) if *self.secret.get_or_insert(header.secret) != header.secret => {
                    return Err(LogError::Foreign { name: segment.name });
                }
                Err(error @ (LogError::Version { .. } | LogError::Misnamed { .. })) => return Err(error.clone()),
                _ => {}
            }
        }
        Ok(())
    }
}
