//! Messages as they were before record batches: formats 0 and 1, converted up when an old producer sends
//! them, and down when an old consumer fetches. The log holds format 2 only.
//!
//! A message set is messages one behind the other, each with its own CRC-32. A compressed message is a
//! *wrapper*: its value is a message set of *inner messages*. Format 1 has timestamps (KIP-32) and, in a
//! wrapper, relative offsets (KIP-31). A message set has no count and no length; a message cut at its end is
//! no error.
//!
//! Pure functions over bytes that nobody vouches for. Everything decompressed is bounded. The path of format 2
//! goes nowhere near this room.
//!
//! Rules: `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`, `AbstractLegacyRecordBatch` and `RecordsUtil`
//! of Kafka 3.9, the last release with these formats.

mod downgrade;
mod lz4;
mod message;
mod upgrade;
mod wrapper;

pub use downgrade::{DowngradeError, Downgraded, Skipped, downgrade, skip_unseen};
pub use upgrade::{UpgradeRules, upgrade};

/// Format of messages before record batches, as their magic byte names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Magic {
    /// Kafka 0.8 and 0.9: no timestamps, absolute offsets in wrappers.
    V0,
    /// Kafka 0.10: timestamps, relative offsets in wrappers.
    V1,
}

impl Magic {
    fn from_id(id: u8) -> Option<Magic> {
        match id {
            0 => Some(Magic::V0),
            1 => Some(Magic::V1),
            _ => None,
        }
    }

    fn id(self) -> u8 {
        match self {
            Magic::V0 => 0,
            Magic::V1 => 1,
        }
    }
}

#[cfg(test)]
mod tests;
