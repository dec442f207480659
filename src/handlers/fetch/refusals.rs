//! What clients of an old Fetch version are refused, and how an error is told to them; those of v0-3 and the others alike.

use crate::protocol::batch::Compression;
use crate::protocol::errors::ErrorCode;
use crate::replication::replica::Replica;

/// Clients of this version know zstd (KIP-110).
pub const ZSTD_SINCE: i16 = 10;

/// What a client of this version is told of an error. Before v6 none knows KAFKA_STORAGE_ERROR; this one has it look for
/// the leader and try again.
pub fn told(version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::KafkaStorageError if version <= 5 => ErrorCode::NotLeaderOrFollower,
        told => told,
    }
}

/// KIP-110: a topic whose codec is zstd has nothing for clients of Fetch below [`ZSTD_SINCE`].
pub fn refuse_zstd(replica: &Replica) -> Result<(), ErrorCode> {
    if replica.config().compression == Some(Compression::Zstd) {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    Ok(())
}
