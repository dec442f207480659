//! DescribeAcls, CreateAcls and DeleteAcls (keys 29 to 31), v0: without pattern types (KIP-290, v1). Whatever they name
//! is literal, which is what the codec crate's types say by default, and an answer can only tell of literal patterns.
//! Kafka: `DescribeAclsRequest.normalizeAndValidate`, `DescribeAclsResponse.validate`.

use anyhow::ensure;
use bytes::BufMut;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::DeleteAclsMatchingAcl;
use kafka_protocol::messages::describe_acls_response::DescribeAclsResource;
use kafka_protocol::messages::{
    CreateAclsRequest, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest, DescribeAclsResponse,
};

use super::{FLEXIBLE, OldRequest, OldResponse};
use crate::protocol::body::Body;
use crate::protocol::wire::{Malformed, put_count, put_string};

const LITERAL: i8 = 3;
const PATTERN_TYPES_SINCE: i16 = 1;
/// What an ACL, or a filter of ACLs, takes at least.
const LEAST_ACL_SIZE_BYTES: usize = 9;

impl OldRequest for DescribeAclsRequest {
    const SAME_SINCE: i16 = PATTERN_TYPES_SINCE;

    fn read_old(body: &mut Body<'_>, _version: i16) -> Result<DescribeAclsRequest, Malformed> {
        Ok(DescribeAclsRequest::default()
            .with_resource_type_filter(body.reader.i8()?)
            .with_resource_name_filter(body.nullable_string()?)
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(body.nullable_string()?)
            .with_host_filter(body.nullable_string()?)
            .with_operation(body.reader.i8()?)
            .with_permission_type(body.reader.i8()?))
    }
}

impl OldRequest for CreateAclsRequest {
    const SAME_SINCE: i16 = PATTERN_TYPES_SINCE;

    fn read_old(body: &mut Body<'_>, _version: i16) -> Result<CreateAclsRequest, Malformed> {
        let creations = body.array(LEAST_ACL_SIZE_BYTES, |body| {
            Ok(AclCreation::default()
                .with_resource_type(body.reader.i8()?)
                .with_resource_name(body.string()?)
                .with_resource_pattern_type(LITERAL)
                .with_principal(body.string()?)
                .with_host(body.string()?)
                .with_operation(body.reader.i8()?)
                .with_permission_type(body.reader.i8()?))
        })?;
        Ok(CreateAclsRequest::default().with_creations(creations))
    }
}

impl OldRequest for DeleteAclsRequest {
    const SAME_SINCE: i16 = PATTERN_TYPES_SINCE;

    fn read_old(body: &mut Body<'_>, _version: i16) -> Result<DeleteAclsRequest, Malformed> {
        let filters = body.array(LEAST_ACL_SIZE_BYTES, |body| {
            Ok(DeleteAclsFilter::default()
                .with_resource_type_filter(body.reader.i8()?)
                .with_resource_name_filter(body.nullable_string()?)
                .with_pattern_type_filter(LITERAL)
                .with_principal_filter(body.nullable_string()?)
                .with_host_filter(body.nullable_string()?)
                .with_operation(body.reader.i8()?)
                .with_permission_type(body.reader.i8()?))
        })?;
        Ok(DeleteAclsRequest::default().with_filters(filters))
    }
}

fn ensure_literal(pattern_type: i8) -> anyhow::Result<()> {
    ensure!(pattern_type == LITERAL, "version 0 has no resource pattern of type {pattern_type}");
    Ok(())
}

impl OldResponse for DescribeAclsResponse {
    const SAME_SINCE: i16 = PATTERN_TYPES_SINCE;

    fn write_old(&self, out: &mut Vec<u8>, _version: i16) -> anyhow::Result<()> {
        out.put_i32(self.throttle_time_ms);
        out.put_i16(self.error_code);
        put_string(out, FLEXIBLE, self.error_message.as_deref());
        put_count(out, FLEXIBLE, self.resources.len());
        self.resources.iter().try_for_each(|resource| put_resource(out, resource))
    }
}

fn put_resource(out: &mut Vec<u8>, resource: &DescribeAclsResource) -> anyhow::Result<()> {
    ensure_literal(resource.pattern_type)?;
    out.put_i8(resource.resource_type);
    put_string(out, FLEXIBLE, Some(&resource.resource_name));
    put_count(out, FLEXIBLE, resource.acls.len());
    for acl in &resource.acls {
        put_string(out, FLEXIBLE, Some(&acl.principal));
        put_string(out, FLEXIBLE, Some(&acl.host));
        out.put_i8(acl.operation);
        out.put_i8(acl.permission_type);
    }
    Ok(())
}

impl OldResponse for DeleteAclsResponse {
    const SAME_SINCE: i16 = PATTERN_TYPES_SINCE;

    fn write_old(&self, out: &mut Vec<u8>, _version: i16) -> anyhow::Result<()> {
        out.put_i32(self.throttle_time_ms);
        put_count(out, FLEXIBLE, self.filter_results.len());
        for result in &self.filter_results {
            out.put_i16(result.error_code);
            put_string(out, FLEXIBLE, result.error_message.as_deref());
            put_count(out, FLEXIBLE, result.matching_acls.len());
            result.matching_acls.iter().try_for_each(|acl| put_matching(out, acl))?;
        }
        Ok(())
    }
}

fn put_matching(out: &mut Vec<u8>, acl: &DeleteAclsMatchingAcl) -> anyhow::Result<()> {
    ensure_literal(acl.pattern_type)?;
    out.put_i16(acl.error_code);
    put_string(out, FLEXIBLE, acl.error_message.as_deref());
    out.put_i8(acl.resource_type);
    put_string(out, FLEXIBLE, Some(&acl.resource_name));
    put_string(out, FLEXIBLE, Some(&acl.principal));
    put_string(out, FLEXIBLE, Some(&acl.host));
    out.put_i8(acl.operation);
    out.put_i8(acl.permission_type);
    Ok(())
}
