//! What coordinators see of the view, whatever it is made of.

use super::PartitionKey;
use super::stamps::Stamp;

/// One replayed record: the value of its key, or `None` for a tombstone.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// Where a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    Next,
    /// To the first key at or behind this one.
    SkipTo(Vec<u8>),
    Stop,
}

/// How far a read may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Memory only: for workers. What is not there is [`ViewError::Cold`].
    Warm,
    /// Disk: blocking.
    Disk,
}

/// Whether a change may wait for a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// For workers: [`ViewError::Busy`] instead.
    None,
    Wait,
}

/// Why the view has no answer.
#[derive(Debug)]
pub enum ViewError {
    /// What was asked for is on disk. Only for [`Tier::Warm`].
    Cold,
    /// The change would have to wait and was not made. Only for [`Patience::None`].
    Busy,
    /// The view is damaged, or its disk is.
    Failed(anyhow::Error),
}

/// What a scan calls for each entry, with the record's key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Scan + 'a;

/// Entries of coordinator partitions, each partition as of one stamp. A crash leaves a partition as of some stamp it
/// has had. Usable from all threads; changes of one partition must come from one at a time.
pub trait View: Send + Sync {
    /// The position `of` was applied to, or `None` when it never was.
    fn stamp(&self, of: PartitionKey) -> Result<Option<Stamp>, ViewError>;

    /// Applies `changes` in order and moves the stamp, both or neither.
    fn apply(
        &self,
        of: PartitionKey,
        changes: &mut dyn Iterator<Item = Change<'_>>,
        stamp: &Stamp,
        patience: Patience,
    ) -> Result<(), ViewError>;

    fn get(&self, of: PartitionKey, key: &[u8], tier: Tier) -> Result<Option<Vec<u8>>, ViewError>;

    /// Visits the entries whose key begins with `prefix`, in the order of their bytes, as of one moment.
    fn scan(
        &self,
        of: PartitionKey,
        prefix: &[u8],
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError>;

    /// Forgets entries and stamp of a partition. May wait.
    fn drop_partition(&self, of: PartitionKey) -> Result<(), ViewError>;

    /// Brings everything applied so far to disk, so that a restart need not replay it. Blocking.
    fn flush(&self) -> Result<(), ViewError>;

    /// Bytes on disk and in memory tables, roughly.
    fn size_bytes(&self) -> u64;
}
