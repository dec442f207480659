//! What one command may come to (`QuorumController`). Pure.

use crate::controller::records::MetadataRecord;
use crate::protocol::errors::{ApiError, ErrorCode};

/// Records that one command may write (`QuorumController.MAX_RECORDS_PER_USER_OP`).
const MAX_RECORD_COUNT: usize = 10_000;

/// Bytes of the records that one command may write. The records of a command stand in one entry, which has to stay
/// below the least size of a segment of the metadata log, 8 MiB. Ten thousand partitions take less than 2 MiB.
const MAX_RECORDS_SIZE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a name that is kept: the oldest answers have strings of at most so many.
pub(super) const MAX_NAME_SIZE_BYTES: usize = i16::MAX as usize;

/// Refuses a command that would write too many records.
pub(super) fn check_record_count(count: usize) -> Result<(), ApiError> {
    if count > MAX_RECORD_COUNT { Err(excessive()) } else { Ok(()) }
}

/// Refuses a command whose records would take too many bytes.
pub(super) fn check_records_size(records: &[MetadataRecord]) -> Result<(), ApiError> {
    if size_bytes(records) > MAX_RECORDS_SIZE_BYTES { Err(excessive()) } else { Ok(()) }
}

/// Bytes that records take in an entry.
pub fn size_bytes(records: &[MetadataRecord]) -> usize {
    let (mut encoded, mut size_bytes) = (Vec::new(), 0);
    for record in records {
        encoded.clear();
        record.encode(&mut encoded);
        size_bytes += encoded.len();
    }
    size_bytes
}

fn excessive() -> ApiError {
    ApiError::new(ErrorCode::PolicyViolation, "Unable to perform excessively large batch operation.")
}
