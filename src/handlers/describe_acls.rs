//! DescribeAcls (key 29), v1-3, as Kafka answers it without an authorizer (`AclApis`): there is nothing to describe.

use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::ErrorCode;

pub async fn handle(
    _context: &RequestContext,
    _request: DescribeAclsRequest,
) -> anyhow::Result<DescribeAclsResponse> {
    Ok(DescribeAclsResponse::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(wire::text("No Authorizer is configured on the broker"))))
}
