//! CreateAcls (key 30), v0-3, as Kafka answers it without an authorizer (`AclApis`): each is refused.

use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::ErrorCode;
use crate::protocol::old::AnyVersion;

/// The same for creations and deletions.
pub const NO_AUTHORIZER: &str = "No Authorizer is configured.";

pub async fn handle(
    _context: &RequestContext,
    AnyVersion(request): AnyVersion<CreateAclsRequest>,
) -> anyhow::Result<AnyVersion<CreateAclsResponse>> {
    let refused = AclCreationResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(wire::text(NO_AUTHORIZER)));
    Ok(AnyVersion(CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])))
}
