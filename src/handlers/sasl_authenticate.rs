//! SaslAuthenticate (key 36), v0-2: the bytes of a login (KIP-152, KIP-368). As with
//! [`sasl_handshake`](super::sasl_handshake), a connection that gets here has nothing to log in to.
//! Kafka: `KafkaApis.handleSaslAuthenticateRequest`.

use kafka_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::ErrorCode;

const TOO_LATE: &str = "SaslAuthenticate request received after successful authentication";

pub async fn handle(
    _context: &RequestContext,
    _request: SaslAuthenticateRequest,
) -> anyhow::Result<SaslAuthenticateResponse> {
    Ok(SaslAuthenticateResponse::default()
        .with_error_code(ErrorCode::IllegalSaslState.code())
        .with_error_message(Some(wire::text(TOO_LATE))))
}
