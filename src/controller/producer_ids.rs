//! Blocks of producer ids (`ProducerIdControlManager`, KIP-730). Pure.

use crate::controller::brokers;
use crate::controller::command::{Answer, Outcome};
use crate::controller::image::ClusterImage;
use crate::controller::records::{MetadataRecord, ProducerIdsRecord};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, Offset, ProducerId};

/// Count of producer ids that a broker gets at once.
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1000;

pub(super) fn allocate(
    image: &ClusterImage,
    broker_id: BrokerId,
    broker_epoch: Offset,
) -> Result<Outcome, ApiError> {
    brokers::check_epoch(image, broker_id, broker_epoch)?;
    let first = image.next_producer_id;
    let Some(next) = first.0.checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE)) else {
        let message =
            "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit";
        return Err(ApiError::new(ErrorCode::UnknownServerError, message));
    };
    let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id: ProducerId(next) };
    Ok(Outcome {
        records: vec![MetadataRecord::ProducerIds(record)],
        answer: Answer::AllocateProducerIds { first, count: PRODUCER_ID_BLOCK_SIZE },
    })
}
