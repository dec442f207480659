//! ExpireDelegationToken (key 40), v0-2: ends a token, at once or later (KIP-48).
//! [`delegation_tokens`](super::delegation_tokens) tells why there is none. Kafka: `KafkaApis.handleExpireTokenRequest`.

use kafka_protocol::messages::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};

use super::context::RequestContext;
use super::delegation_tokens::{NO_TIMESTAMP, NOT_ALLOWED};
use crate::protocol::old::AnyVersion;

pub async fn handle(
    _context: &RequestContext,
    _request: AnyVersion<ExpireDelegationTokenRequest>,
) -> anyhow::Result<AnyVersion<ExpireDelegationTokenResponse>> {
    Ok(AnyVersion(
        ExpireDelegationTokenResponse::default()
            .with_error_code(NOT_ALLOWED.code())
            .with_expiry_timestamp_ms(NO_TIMESTAMP),
    ))
}
