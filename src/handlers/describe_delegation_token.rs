//! DescribeDelegationToken (key 41), v0-3: which tokens there are (KIP-48; KIP-373, v3: who asked for each).
//! [`delegation_tokens`](super::delegation_tokens) tells why nobody may see one.
//! Kafka: `KafkaApis.handleDescribeTokensRequest`.

use kafka_protocol::messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};

use super::context::RequestContext;
use super::delegation_tokens::NOT_ALLOWED;
use crate::protocol::old::AnyVersion;

pub async fn handle(
    _context: &RequestContext,
    _request: AnyVersion<DescribeDelegationTokenRequest>,
) -> anyhow::Result<AnyVersion<DescribeDelegationTokenResponse>> {
    Ok(AnyVersion(DescribeDelegationTokenResponse::default().with_error_code(NOT_ALLOWED.code())))
}
