//! AddRaftVoter (key 80), v0-1: a controller shall vote (KIP-853). What is wrong with the request is told before that the
//! voters are fixed. Kafka: `KafkaRaftClient.handleAddVoterRequest`, `AddVoterHandler`.

use std::collections::BTreeMap;

use super::context::RequestContext;
use super::quorum_changes::{Refusal, check_cluster, check_voter, no_reconfiguration};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::quorum_changes::{AddRaftVoter, VoterEndpoint};

/// The sentence about endpoints names no more of them than fit into this.
const MOST_ENDPOINTS_TEXT_BYTES: usize = 1000;
/// More of them do not fit, however short they are.
const MOST_ENDPOINTS: usize = 64;

pub async fn handle(context: &RequestContext, request: AddRaftVoter) -> anyhow::Result<Refusal> {
    Ok(Refusal(refusal(context, &request)))
}

fn refusal(context: &RequestContext, request: &AddRaftVoter) -> ApiError {
    let checked = check_cluster(context, request.cluster_id.as_deref())
        .and_then(|()| check_voter("Add", request.voter_id, request.voter_directory_id))
        .and_then(|()| check_endpoints(context, &request.listeners));
    match checked {
        Ok(()) => no_reconfiguration("adding"),
        Err(error) => error,
    }
}

/// The other controllers reach a voter through the listener that they have themselves.
fn check_endpoints(context: &RequestContext, endpoints: &[VoterEndpoint]) -> Result<(), ApiError> {
    let config = context.services.config();
    let Some(own) = config.listeners.iter().find(|listener| listener.controller) else { return Ok(()) };
    if endpoints.iter().any(|endpoint| endpoint.name.eq_ignore_ascii_case(&own.name)) {
        return Ok(());
    }
    let message = format!(
        "Add voter request didn't include the endpoint (Endpoints(endpoints={{{}}})) for the default listener \
         ListenerName({})",
        endpoints_text(endpoints),
        own.name
    );
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}

/// As Java prints them; the last one of a name is meant.
fn endpoints_text(endpoints: &[VoterEndpoint]) -> String {
    let by_name: BTreeMap<String, &VoterEndpoint> = endpoints
        .iter()
        .take(MOST_ENDPOINTS)
        .map(|endpoint| (endpoint.name.to_uppercase(), endpoint))
        .collect();
    let mut text = String::new();
    for (name, VoterEndpoint { host, port, .. }) in by_name {
        let separator = if text.is_empty() { "" } else { ", " };
        let endpoint = format!("{separator}ListenerName({name})={host}/<unresolved>:{port}");
        if text.len() + endpoint.len() > MOST_ENDPOINTS_TEXT_BYTES {
            text += "...";
            break;
        }
        text += &endpoint;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str, port: u16) -> VoterEndpoint {
        VoterEndpoint { name: name.to_owned(), host: "localhost".to_owned(), port }
    }

    #[test]
    fn endpoints_are_told_as_java_prints_them() {
        assert_eq!(endpoints_text(&[]), "");
        let told = endpoints_text(&[endpoint("b", 1), endpoint("A", 65535), endpoint("B", 2)]);
        assert_eq!(
            told,
            "ListenerName(A)=localhost/<unresolved>:65535, ListenerName(B)=localhost/<unresolved>:2"
        );
    }

    #[test]
    fn many_endpoints_do_not_make_a_long_answer() {
        let many: Vec<VoterEndpoint> = (0..1000).map(|number| endpoint(&number.to_string(), 1)).collect();
        let told = endpoints_text(&many);
        assert!(told.len() <= MOST_ENDPOINTS_TEXT_BYTES + 3 && told.ends_with("..."), "{told}");
        assert_eq!(endpoints_text(&[endpoint(&"x".repeat(30_000), 1)]), "...");
    }
}
