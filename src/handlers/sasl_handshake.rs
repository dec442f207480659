//! SaslHandshake (key 17), v0-1: which mechanism a client logs in with (KIP-43, KIP-152).
//!
//! A connection through a SASL listener says this before it is let to any handler; here it comes too late, or through a
//! listener where nobody logs in. No listener speaks SASL (`config::listeners` refuses one), so no mechanism is named.
//! Kafka: `KafkaApis.handleSaslHandshakeRequest`.

use kafka_protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use super::context::RequestContext;
use crate::protocol::errors::ErrorCode;

pub async fn handle(
    _context: &RequestContext,
    _request: SaslHandshakeRequest,
) -> anyhow::Result<SaslHandshakeResponse> {
    Ok(SaslHandshakeResponse::default().with_error_code(ErrorCode::IllegalSaslState.code()))
}
