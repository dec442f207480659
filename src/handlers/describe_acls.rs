//! DescribeAcls (key 29), v0-3, as Kafka answers it without an authorizer (`AclApis`): there is nothing to describe.

use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::ErrorCode;
use crate::protocol::old::AnyVersion;

pub async fn handle(
    _context: &RequestContext,
    _request: AnyVersion<DescribeAclsRequest>,
) -> anyhow::Result<AnyVersion<DescribeAclsResponse>> {
    Ok(AnyVersion(
        DescribeAclsResponse::default()
            .with_error_code(ErrorCode::SecurityDisabled.code())
            .with_error_message(Some(wire::text("No Authorizer is configured on the broker"))),
    ))
}
