//! What AddRaftVoter, RemoveRaftVoter and UnregisterController share: the rules before a change of the metadata quorum, and
//! their answer, which is one. Kafka: `KafkaRaftClient.handleAddVoterRequest`, `AddVoterHandler`.

use kafka_protocol::messages::RemoveRaftVoterResponse;
use kafka_protocol::protocol::Encodable;
use kafka_protocol::protocol::buf::ByteBufMut;
use uuid::Uuid;

use super::context::RequestContext;
use super::error_codes::ErrorCodes;
use super::features::KRAFT_VERSION_LEVEL;
use crate::protocol::errors::{ApiError, ErrorCode};

/// Whether the request is meant for this cluster; no id means any.
pub fn check_cluster(context: &RequestContext, cluster_id: Option<&str>) -> Result<(), ApiError> {
    let image = context.services.image();
    match cluster_id {
        Some(id) if *id != *image.cluster_id => Err(ApiError::new(
            ErrorCode::InconsistentClusterId,
            format!("The given id \"{id}\" doesn't match the cluster id \"{}\"", image.cluster_id),
        )),
        Some(_) | None => Ok(()),
    }
}

/// A voter is a node and the directory that its metadata log is in (KIP-853). `what` is `Add` or `Remove`.
pub fn check_voter(what: &str, voter_id: i32, directory_id: Uuid) -> Result<(), ApiError> {
    if voter_id < 0 || directory_id.is_nil() {
        let message = format!("{what} voter request didn't include a valid voter");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(())
}

/// Voters are those that the quorum was founded with, at the level of kraft.version that this build has.
/// `what` is `adding` or `removing`.
pub fn no_reconfiguration(what: &str) -> ApiError {
    let message = format!(
        "Cluster doesn't support {what} voter because the kraft.version feature is {KRAFT_VERSION_LEVEL}"
    );
    ApiError::new(ErrorCode::UnsupportedVersion, message)
}

/// Why the quorum stays as it is. The three APIs write the same bytes in each of their versions.
pub struct Refusal(pub ApiError);

impl Encodable for Refusal {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, _version: i16) -> anyhow::Result<()> {
        self.response().encode(buffer, 0)
    }

    fn compute_size(&self, _version: i16) -> anyhow::Result<usize> {
        self.response().compute_size(0)
    }
}

impl Refusal {
    fn response(&self) -> RemoveRaftVoterResponse {
        RemoveRaftVoterResponse::default()
            .with_error_code(self.0.code.code())
            .with_error_message(self.0.wire_message())
    }
}

impl ErrorCodes for Refusal {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.0.code.code())
    }
}
