//! RenewDelegationToken (key 39), v0-2: gives a token more time (KIP-48).
//! [`delegation_tokens`](super::delegation_tokens) tells why there is none. Kafka: `KafkaApis.handleRenewTokenRequest`.

use kafka_protocol::messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};

use super::context::RequestContext;
use super::delegation_tokens::{NO_TIMESTAMP, NOT_ALLOWED};
use crate::protocol::old::AnyVersion;

pub async fn handle(
    _context: &RequestContext,
    _request: AnyVersion<RenewDelegationTokenRequest>,
) -> anyhow::Result<AnyVersion<RenewDelegationTokenResponse>> {
    Ok(AnyVersion(
        RenewDelegationTokenResponse::default()
            .with_error_code(NOT_ALLOWED.code())
            .with_expiry_timestamp_ms(NO_TIMESTAMP),
    ))
}
