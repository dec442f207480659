//! ConsumerGroupDescribe (key 69), v0-1, KIP-848: epochs, members and their assignments, present and to come. v1 tells
//! which protocol a member uses (KIP-1099). Kafka: `KafkaApis.handleConsumerGroupDescribe`.
//!
//! A group that is named several times is described once, where Kafka describes it each time.

use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment as WireAssignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, TopicName,
};

use super::context::RequestContext;
use super::{consumer_groups, wire};
use crate::controller::ClusterImage;
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::describe::{ConsumerGroupDescription, MemberDescription};
use crate::protocol::errors::{ApiError, ErrorCode};

/// `Member.MemberType`
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

pub async fn handle(
    context: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> anyhow::Result<ConsumerGroupDescribeResponse> {
    let operations = match request.include_authorized_operations {
        true => wire::ALL_GROUP_OPERATIONS,
        false => wire::OPERATIONS_NOT_ASKED,
    };
    let asked = wire::first_mentions(request.group_ids, GroupId::clone);
    let mut groups = Vec::with_capacity(asked.len());
    for group in asked {
        let described = match describe(context, &group).await {
            Ok(found) => write(context, found).with_authorized_operations(operations),
            Err(error) => DescribedGroup::default()
                .with_error_code(error.code.code())
                .with_error_message(error.wire_message()),
        };
        groups.push(described.with_group_id(group));
    }
    Ok(ConsumerGroupDescribeResponse::default().with_groups(groups))
}

async fn describe(context: &RequestContext, group: &GroupId) -> Result<ConsumerGroupDescription, ApiError> {
    consumer_groups::check_enabled(context)?;
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId.into());
    }
    let services = &context.services;
    let partition = services.groups.partition_of(&services.image(), group)?;
    services.groups.runtime.inspect(partition, |shard| shard.describe_consumer(group)).await
}

fn write(context: &RequestContext, group: ConsumerGroupDescription) -> DescribedGroup {
    let image = context.services.image();
    DescribedGroup::default()
        .with_group_state(wire::text(group.state))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.assignment_epoch)
        .with_assignor_name(wire::text(&group.assignor))
        .with_members(
            group.members.into_iter().map(|member| write_member(&image, context.version, member)).collect(),
        )
}

fn write_member(image: &ClusterImage, version: i16, member: MemberDescription) -> Member {
    let names = member.subscribed_topics.iter().map(|name| TopicName(wire::text(name)));
    let member_type = if member.uses_classic_protocol { CLASSIC_MEMBER } else { CONSUMER_MEMBER };
    let described = Member::default()
        .with_member_id(wire::text(&member.member_id))
        .with_instance_id(member.instance_id.as_deref().map(wire::text))
        .with_rack_id(member.rack_id.as_deref().map(wire::text))
        .with_member_epoch(member.member_epoch)
        .with_client_id(wire::text(&member.client_id))
        .with_client_host(wire::text(&member.client_host))
        .with_subscribed_topic_names(names.collect())
        // Empty rather than null where there is none, as Kafka.
        .with_subscribed_topic_regex(Some(wire::text(member.subscribed_regex.as_deref().unwrap_or(""))))
        .with_assignment(write_assignment(image, &member.assignment))
        .with_target_assignment(write_assignment(image, &member.target));
    if version >= 1 { described.with_member_type(member_type) } else { described }
}

/// Topics that are gone have no name, and are left out.
fn write_assignment(image: &ClusterImage, assignment: &Assignment) -> WireAssignment {
    let topics = assignment.iter().filter_map(|(id, partitions)| {
        let topic = image.topic_by_id(*id)?;
        Some(
            TopicPartitions::default()
                .with_topic_id(id.0)
                .with_topic_name(TopicName(wire::text(&topic.name)))
                .with_partitions(partitions.iter().map(|partition| partition.0).collect()),
        )
    });
    WireAssignment::default().with_topic_partitions(topics.collect())
}
