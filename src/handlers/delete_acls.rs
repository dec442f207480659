//! DeleteAcls (key 31), v0-3, as Kafka answers it without an authorizer (`AclApis`): each filter is refused.

use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::context::RequestContext;
use super::create_acls::NO_AUTHORIZER;
use super::wire;
use crate::protocol::errors::ErrorCode;
use crate::protocol::old::AnyVersion;

pub async fn handle(
    _context: &RequestContext,
    AnyVersion(request): AnyVersion<DeleteAclsRequest>,
) -> anyhow::Result<AnyVersion<DeleteAclsResponse>> {
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(wire::text(NO_AUTHORIZER)));
    Ok(AnyVersion(DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])))
}
