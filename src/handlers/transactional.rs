//! What the messages of transactional producers share: fresh producer ids, and errors that old clients know.

use super::services::Services;
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::{Command, Response};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerEpoch, ProducerId};

/// Whom an answer names that has no producer to name.
pub const NOBODY: TransactionalProducer =
    TransactionalProducer { id: ProducerId::NONE, epoch: ProducerEpoch(-1) };

/// Has the coordinator of this id decide what `command` makes of no producer id, and of a fresh one when it asks for
/// that. An id that turns out not to be needed is lost, as in Kafka.
pub async fn decide(
    services: &Services,
    transactional_id: &str,
    command: impl Fn(Option<ProducerId>) -> Command,
) -> Result<Response, ApiError> {
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let response = services.transactions.submit(transactional_id, command(None)).await?;
    if response != Response::NeedsProducerId {
        return Ok(response);
    }
    let fresh_id = fresh_producer_id(services).await?;
    services.transactions.submit(transactional_id, command(Some(fresh_id))).await
}

/// One that nobody has had.
pub async fn fresh_producer_id(services: &Services) -> Result<ProducerId, ApiError> {
    services.producer_ids.next(&services.quorum, services.me, services.broker_epoch).await
}

/// As a client of this version can be told: PRODUCER_FENCED is known from version `since` of a message on (KIP-588).
pub fn told(code: ErrorCode, version: i16, since: i16) -> ErrorCode {
    if code == ErrorCode::ProducerFenced && version < since { ErrorCode::InvalidProducerEpoch } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_are_told_of_an_invalid_epoch() {
        assert_eq!(told(ErrorCode::ProducerFenced, 1, 2), ErrorCode::InvalidProducerEpoch);
        assert_eq!(told(ErrorCode::ProducerFenced, 2, 2), ErrorCode::ProducerFenced);
        assert_eq!(told(ErrorCode::InvalidTxnState, 1, 2), ErrorCode::InvalidTxnState);
    }
}
