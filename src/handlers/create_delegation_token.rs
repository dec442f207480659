//! CreateDelegationToken (key 38), v0-3: a token to log in with (KIP-48; KIP-373, v3: for somebody else).
//! [`delegation_tokens`](super::delegation_tokens) tells why nobody gets one. Kafka: `KafkaApis.handleCreateTokenRequest`.

use kafka_protocol::messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};
use kafka_protocol::protocol::StrBytes;

use super::context::RequestContext;
use super::delegation_tokens::{NO_TIMESTAMP, NOT_ALLOWED};
use super::wire;
use crate::protocol::old::AnyVersion;
use crate::security::principal::{ANONYMOUS, USER_TYPE};

/// First version that says who asked, beside who would own the token.
const REQUESTER_SINCE_VERSION: i16 = 3;

pub async fn handle(
    context: &RequestContext,
    AnyVersion(request): AnyVersion<CreateDelegationTokenRequest>,
) -> anyhow::Result<AnyVersion<CreateDelegationTokenResponse>> {
    let (owner_type, owner) = owner(request);
    let response = CreateDelegationTokenResponse::default()
        .with_error_code(NOT_ALLOWED.code())
        .with_principal_type(owner_type)
        .with_principal_name(owner)
        .with_issue_timestamp_ms(NO_TIMESTAMP)
        .with_expiry_timestamp_ms(NO_TIMESTAMP)
        .with_max_timestamp_ms(NO_TIMESTAMP);
    Ok(AnyVersion(match context.version >= REQUESTER_SINCE_VERSION {
        true => response
            .with_token_requester_principal_type(wire::text(USER_TYPE))
            .with_token_requester_principal_name(wire::text(ANONYMOUS)),
        false => response,
    }))
}

/// Type and name of the principal that the token is asked for: who asks, if nobody is named.
fn owner(request: CreateDelegationTokenRequest) -> (StrBytes, StrBytes) {
    match request.owner_principal_name {
        Some(name) if !name.is_empty() => (request.owner_principal_type.unwrap_or_default(), name),
        Some(_) | None => (wire::text(USER_TYPE), wire::text(ANONYMOUS)),
    }
}
