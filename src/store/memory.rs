//! The view in memory, for tests: it can be cold, busy and broken on demand.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::Mutex;

use super::PartitionKey;
use super::stamps::{self, Stamp};
use super::view::{Change, Patience, Scan, Tier, View, ViewError, Visit};
use crate::store::entries;

/// What goes wrong from here on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mood {
    /// Nothing is warm.
    pub cold: bool,
    /// Every change that will not wait is refused.
    pub busy: bool,
    /// Every read and change fails.
    pub failed: bool,
}

#[derive(Default)]
pub struct MemoryView {
    entries: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    flushed: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    mood: Mutex<Mood>,
}

impl MemoryView {
    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// Takes over all entries.
    pub fn copy_from(&self, other: &MemoryView) {
        *self.entries.lock() = other.entries.lock().clone();
    }

    /// What a crash leaves.
    pub fn after_crash(&self) -> MemoryView {
        let flushed = self.flushed.lock().clone();
        MemoryView {
            entries: Mutex::new(flushed.clone()),
            flushed: Mutex::new(flushed),
            mood: Mutex::default(),
        }
    }

    fn check(&self) -> Result<Mood, ViewError> {
        let mood = *self.mood.lock();
        if mood.failed { Err(ViewError::Failed(anyhow::anyhow!("as told"))) } else { Ok(mood) }
    }

    fn check_read(&self, tier: Tier) -> Result<(), ViewError> {
        if self.check()?.cold && tier == Tier::Warm { Err(ViewError::Cold) } else { Ok(()) }
    }
}

impl View for MemoryView {
    fn stamp(&self, of: PartitionKey) -> Result<Option<Stamp>, ViewError> {
        self.check()?;
        let entries = self.entries.lock();
        let bytes = entries.get(stamps::key(of).as_slice());
        bytes.map(|bytes| Stamp::decode(bytes)).transpose().map_err(ViewError::Failed)
    }

    fn apply(
        &self,
        of: PartitionKey,
        changes: &mut dyn Iterator<Item = Change<'_>>,
        stamp: &Stamp,
        patience: Patience,
    ) -> Result<(), ViewError> {
        if self.check()?.busy && patience == Patience::None {
            return Err(ViewError::Busy);
        }
        let mut entries = self.entries.lock();
        for change in changes {
            let key = entries::key(of, change.key);
            match change.value {
                Some(value) => entries.insert(key, value.to_vec()),
                None => entries.remove(&key),
            };
        }
        entries.insert(stamps::key(of).to_vec(), stamp.encode().to_vec());
        Ok(())
    }

    fn get(&self, of: PartitionKey, key: &[u8], tier: Tier) -> Result<Option<Vec<u8>>, ViewError> {
        self.check_read(tier)?;
        Ok(self.entries.lock().get(&entries::key(of, key)).cloned())
    }

    fn scan(
        &self,
        of: PartitionKey,
        prefix: &[u8],
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        self.check_read(tier)?;
        let snapshot = self.entries.lock().clone();
        let begin = entries::key(of, prefix);
        let mut from = Bound::Included(begin.clone());
        while let Some((key, value)) = snapshot.range((from.clone(), Bound::Unbounded)).next() {
            if !key.starts_with(&begin) {
                break;
            }
            from = match visit(entries::record_key(key), value) {
                Scan::Next => Bound::Excluded(key.clone()),
                Scan::SkipTo(to) if entries::key(of, &to) > *key => Bound::Included(entries::key(of, &to)),
                Scan::SkipTo(_) => Bound::Excluded(key.clone()),
                Scan::Stop => break,
            };
        }
        Ok(())
    }

    fn drop_partition(&self, of: PartitionKey) -> Result<(), ViewError> {
        self.check()?;
        let begin = entries::key(of, &[]);
        let mut entries = self.entries.lock();
        entries.retain(|key, _| !key.starts_with(&begin));
        entries.remove(stamps::key(of).as_slice());
        Ok(())
    }

    fn flush(&self) -> Result<(), ViewError> {
        self.check()?;
        *self.flushed.lock() = self.entries.lock().clone();
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.entries.lock().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}
