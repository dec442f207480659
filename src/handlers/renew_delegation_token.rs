//! RenewDelegationToken (key 39), v1-2: gives a token more time (KIP-48).
//! [`delegation_tokens`](super::delegation_tokens) tells why there is none. Kafka: `KafkaApis.handleRenewTokenRequest`.

use kafka_protocol::messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};

use super::context::RequestContext;
use super::delegation_tokens::{NO_TIMESTAMP, NOT_ALLOWED};

pub async fn handle(
    _context: &RequestContext,
    _request: RenewDelegationTokenRequest,
) -> anyhow::Result<RenewDelegationTokenResponse> {
    Ok(RenewDelegationTokenResponse::default()
        .with_error_code(NOT_ALLOWED.code())
        .with_expiry_timestamp_ms(NO_TIMESTAMP))
}
