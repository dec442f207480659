//! What a segment knows of aborted transactions: on the heap while it takes batches, then in its `.txnindex`, which only
//! segments have that hold an abort marker.

use super::*;

impl Segment {
    /// Takes note of an abort marker that was written.
    pub fn note_aborted(&self, aborted: AbortedTransaction) {
        let mut warm = self.warm.lock();
        let indexes =
            warm.indexes.as_mut().expect("indexes of a segment that takes batches stay on the heap");
        indexes.aborted.push(aborted);
        self.holds_no_abort.store(false, Ordering::Release);
    }

    /// The transactions that touch `from..up_to` and were aborted in this segment, and whether later segments cannot hold any
    /// more of them. A segment that holds no marker of an abort costs nothing.
    pub fn aborted(
        self: &Arc<Segment>,
        from: Offset,
        up_to: Offset,
    ) -> Result<(Vec<AbortedTransaction>, bool), SegmentError> {
        if !self.may_hold_abort() {
            return Ok((Vec::new(), false));
        }
        self.with_indexes(|indexes| txn_index::overlapping(&indexes.aborted, from, up_to))
    }

    /// The segment may hold a marker of an abort. Only whoever knows all its markers says no, before readers have it or under
    /// the lock, so that no look of a reader crosses what the writer takes note of.
    pub(in crate::log) fn may_hold_abort(&self) -> bool {
        !self.holds_no_abort.load(Ordering::Acquire)
    }

    /// Says of a segment that was opened that it has no transaction index, and needs none.
    pub(in crate::log) fn set_without_abort(&self) {
        self.holds_no_abort.store(true, Ordering::Release);
    }

    /// Replaces what is known of aborted transactions by what recovery found in the batches.
    pub(in crate::log) fn set_aborted(
        self: &Arc<Segment>,
        aborted: Vec<AbortedTransaction>,
    ) -> Result<(), SegmentError> {
        self.with_indexes(|indexes| {
            self.holds_no_abort.store(aborted.is_empty(), Ordering::Release);
            indexes.aborted = aborted;
        })
    }

    /// Whether aborted transactions are known on the heap only.
    pub(in crate::log) fn has_unwritten_transactions(self: &Arc<Segment>) -> bool {
        !self.is_sealed() && self.with_indexes(|indexes| !indexes.aborted.is_empty()).unwrap_or(true)
    }

    #[cfg(test)]
    pub(in crate::log) fn has_indexes_on_heap(&self) -> bool {
        self.warm.lock().indexes.is_some()
    }

    /// Aborted transactions cannot be told from the segment alone: a transaction may have begun in an earlier one.
    pub(super) fn load_aborted(&self) -> Result<Vec<AbortedTransaction>, SegmentError> {
        if !self.may_hold_abort() {
            return Ok(Vec::new());
        }
        let path = self.path_of(TXN_INDEX_SUFFIX);
        let failed =
            |error| SegmentError::Failed(anyhow::Error::context(error, format!("read {}", path.display())));
        let read = |path: &Path| fs::read_file(path).map_err(|error| failed(error.into()));
        let mut bytes = read(&path)?;
        if bytes.is_none() && self.is_removed() {
            // Its files may be getting their other names: the lock says when that is done.
            drop(self.warm.lock());
            bytes = read(&self.path_of(&format!("{TXN_INDEX_SUFFIX}{DELETED_SUFFIX}")))?;
        }
        match bytes {
            None => Ok(Vec::new()),
            Some(bytes) => txn_index::decode(&bytes)
                .ok_or_else(|| failed(anyhow::anyhow!("the transaction index is damaged"))),
        }
    }
}
