//! UnregisterBroker (key 64), v0: forgets a broker until it registers again. A broker that runs is not spared: it
//! serves no partition from then on, until it is restarted. Kafka: `ReplicationControlManager.unregisterBroker`.

use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::context::RequestContext;
use super::wire;
use crate::controller::{Answer, Command};
use crate::protocol::ids::BrokerId;

pub async fn handle(
    context: &RequestContext,
    request: UnregisterBrokerRequest,
) -> anyhow::Result<UnregisterBrokerResponse> {
    let command = Command::UnregisterBroker { broker_id: BrokerId(request.broker_id.0) };
    let response = UnregisterBrokerResponse::default();
    match context.services.quorum.propose(command).await {
        Ok(Answer::UnregisterBroker) => Ok(response.with_error_message(Some(wire::text("")))),
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => {
            Ok(response.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message()))
        }
    }
}
