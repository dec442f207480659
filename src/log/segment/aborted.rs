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

    /// A sealed segment without the file holds none, which is looked up once.
    fn may_hold_abort(&self) -> bool {
        if self.holds_no_abort.load(Ordering::Acquire) {
            return false;
        }
        if self.is_sealed() && !self.is_removed() && !fs::exists(&self.path_of(TXN_INDEX_SUFFIX)) {
            // It may have lost its name between the two looks; then its indexes tell.
            let holds_none = !self.is_removed();
            self.holds_no_abort.store(holds_none, Ordering::Release);
            return !holds_none;
        }
        true
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
