//! The block of producer ids this broker may hand out (KIP-730). Kafka: `RPCProducerIdManager`.

use tokio::sync::Mutex;

use crate::controller::{Answer, Command};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{BrokerId, Offset, ProducerId};
use crate::raft::Quorum;

/// Hands out producer ids, each once; asks the controller for a block when one is used up.
#[derive(Default)]
pub struct ProducerIds {
    /// The unused rest of the block.
    block: Mutex<std::ops::Range<i64>>,
}

impl ProducerIds {
    /// `broker_epoch` is that of this broker's registration.
    pub async fn next(
        &self,
        quorum: &Quorum,
        broker_id: BrokerId,
        broker_epoch: Offset,
    ) -> Result<ProducerId, ApiError> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            let answer = quorum.propose(Command::AllocateProducerIds { broker_id, broker_epoch }).await?;
            let Answer::AllocateProducerIds { first, count } = answer else {
                unreachable!("the controller answers the command it was given, not with {answer:?}");
            };
            *block = first.0..first.0 + i64::from(count);
        }
        let id = block.start;
        block.start += 1;
        Ok(ProducerId(id))
    }
}
