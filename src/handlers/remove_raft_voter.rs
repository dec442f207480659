//! RemoveRaftVoter (key 81), v0: a controller shall vote no more (KIP-853). What is wrong with the request is told before
//! that the voters are fixed. Kafka: `KafkaRaftClient.handleRemoveVoterRequest`, `RemoveVoterHandler`.

use kafka_protocol::messages::RemoveRaftVoterRequest;

use super::context::RequestContext;
use super::quorum_changes::{Refusal, check_cluster, check_voter, no_reconfiguration};

pub async fn handle(context: &RequestContext, request: RemoveRaftVoterRequest) -> anyhow::Result<Refusal> {
    let checked = check_cluster(context, request.cluster_id.as_deref())
        .and_then(|()| check_voter("Remove", request.voter_id, request.voter_directory_id));
    Ok(Refusal(match checked {
        Ok(()) => no_reconfiguration("removing"),
        Err(error) => error,
    }))
}
