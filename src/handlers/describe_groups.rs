//! DescribeGroups (key 15), v0-6: state and members of classic groups. v3 tells what the client may do (KIP-430), v6 calls
//! an unknown group an error (KIP-1043). Kafka: `KafkaApis.handleDescribeGroupsRequest`.
//!
//! A group that is named several times is described once, where Kafka describes it each time.

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::classic::describe::{GroupDescription, MemberDescription};
use crate::protocol::errors::{ApiError, ErrorCode};

/// The state of a group that does not exist, or is no classic one.
const DEAD: &str = "Dead";
/// The first version in which such a group is an error.
const UNKNOWN_IS_ERROR_FROM: i16 = 6;

pub async fn handle(
    context: &RequestContext,
    request: DescribeGroupsRequest,
) -> anyhow::Result<DescribeGroupsResponse> {
    let operations = match request.include_authorized_operations {
        true => wire::ALL_GROUP_OPERATIONS,
        false => wire::OPERATIONS_NOT_ASKED,
    };
    let asked = wire::first_mentions(request.groups, GroupId::clone);
    let mut groups = Vec::with_capacity(asked.len());
    for group in asked {
        let described = match find(context, &group).await {
            Ok(found) => write(found).with_authorized_operations(operations),
            Err(error) if error.code != ErrorCode::GroupIdNotFound => {
                DescribedGroup::default().with_error_code(error.code.code())
            }
            Err(_) if context.version < UNKNOWN_IS_ERROR_FROM => DescribedGroup::default()
                .with_group_state(wire::text(DEAD))
                .with_authorized_operations(operations),
            Err(error) => DescribedGroup::default()
                .with_error_code(error.code.code())
                .with_error_message(error.wire_message())
                .with_group_state(wire::text(DEAD)),
        };
        groups.push(described.with_group_id(group));
    }
    Ok(DescribeGroupsResponse::default().with_groups(groups))
}

async fn find(context: &RequestContext, group: &GroupId) -> Result<GroupDescription, ApiError> {
    let services = &context.services;
    let partition = services.groups.partition_of(&services.image(), group)?;
    services.groups.runtime.inspect(partition, |shard| shard.describe(group)).await
}

fn write(group: GroupDescription) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(wire::text(group.state))
        .with_protocol_type(wire::text(&group.protocol_type))
        .with_protocol_data(wire::text(&group.protocol))
        .with_members(group.members.iter().map(write_member).collect())
}

fn write_member(member: &MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(wire::text(&member.member_id))
        .with_group_instance_id(member.instance_id.as_deref().map(wire::text))
        .with_client_id(wire::text(&member.client_id))
        .with_client_host(wire::text(&member.client_host))
        .with_member_metadata(member.metadata.clone())
        .with_member_assignment(member.assignment.clone())
}
