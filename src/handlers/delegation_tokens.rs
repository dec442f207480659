//! Who may ask for delegation tokens (KIP-48). A token lets its bearer log in as its owner, so only who has logged in, and
//! not by a token, may ask: nobody through PLAINTEXT, which is all that listeners speak (`config::listeners` refuses the
//! rest). Kafka looks at that before anything else in the request. Kafka: `KafkaApis.allowTokenRequests`.

use crate::protocol::errors::ErrorCode;

/// Answered to whoever has not logged in.
pub const NOT_ALLOWED: ErrorCode = ErrorCode::DelegationTokenRequestNotAllowed;
/// The times of no token (`DelegationTokenManager.ErrorTimestamp`).
pub const NO_TIMESTAMP: i64 = -1;
