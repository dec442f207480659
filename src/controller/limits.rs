//! What one command may come to (`QuorumController`). Pure.

use crate::protocol::errors::{ApiError, ErrorCode};

/// Records that one command may write (`QuorumController.MAX_RECORDS_PER_USER_OP`).
const MAX_RECORD_COUNT: usize = 10_000;

/// Refuses a command that would write too many records.
pub(super) fn check_record_count(count: usize) -> Result<(), ApiError> {
    if count > MAX_RECORD_COUNT {
        let message = "Unable to perform excessively large batch operation.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    Ok(())
}
