//! What earlier runs left that will not count: it does until all cores have written all their keys anew.

/// How far a core is with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outlived<Files> {
    #[default]
    Nothing,
    /// They count until all keys are in this log.
    Waits(Files),
    /// All keys are, once this frame is durable.
    Rewritten(Files, u64),
    /// Other cores are not done.
    Done(Files),
}

impl<Files> Outlived<Files> {
    pub fn new(files: Option<Files>) -> Outlived<Files> {
        files.map_or(Outlived::Nothing, Outlived::Waits)
    }

    /// Whether only what this run writes counts, or all there is.
    pub fn is_settled(&self) -> bool {
        matches!(self, Outlived::Nothing)
    }

    pub fn waits(&self) -> bool {
        matches!(self, Outlived::Waits(_))
    }

    /// Whether something waits for what was written to be durable.
    pub fn is_rewritten(&self) -> bool {
        matches!(self, Outlived::Rewritten(..))
    }

    pub fn is_done(&self) -> bool {
        matches!(self, Outlived::Done(_))
    }

    /// All keys are in frames up to this one.
    pub fn rewritten(&mut self, position: u64) {
        *self = match std::mem::take(self) {
            Outlived::Waits(files) => Outlived::Rewritten(files, position),
            other => other,
        };
    }

    /// Whether all keys are durable, for the first time since it was asked.
    pub fn is_newly_done(&mut self, durable: u64) -> bool {
        let is_done = matches!(self, Outlived::Rewritten(_, position) if durable >= *position);
        if is_done && let Outlived::Rewritten(files, _) = std::mem::take(self) {
            *self = Outlived::Done(files);
        }
        is_done
    }

    /// All cores are done: what does not count any more.
    pub fn take(&mut self) -> Option<Files> {
        match std::mem::take(self) {
            Outlived::Done(files) => Some(files),
            other => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outlived_counts_until_all_is_durable() {
        let mut outlived = Outlived::new(Some("files"));
        assert!(!outlived.is_newly_done(9) && outlived.take().is_none() && outlived.waits());
        outlived.rewritten(3);
        outlived.rewritten(9);
        assert!(!outlived.is_newly_done(2) && outlived.take().is_none() && outlived.is_rewritten());
        assert!(outlived.is_newly_done(3) && !outlived.is_newly_done(3) && outlived.is_done());
        assert_eq!(outlived.take(), Some("files"));
        assert!(outlived.is_settled());
        outlived.rewritten(4);
        assert!(outlived.is_settled() && Outlived::<u8>::new(None).is_settled());
    }
}
