//! JoinGroup of a member that uses the classic protocol in a consumer group: it is given an epoch as its generation, and
//! asks for its partitions with SyncGroup. Kafka: `GroupMetadataManager.classicGroupJoinToConsumerGroup`.

use std::sync::Arc;

use super::draft::Draft;
use super::embedded::{self, Subscription};
use super::group::{ConsumerGroup, GroupEvent, Member, Owed};
use super::heartbeat::{check_instance, unknown_instance};
use crate::coordinator::group::classic::group::CONSUMER;
use crate::coordinator::group::classic::join::{JoinRequest, JoinResponse};
use crate::coordinator::group::command::Response;
use crate::coordinator::group::records::consumer::{ClassicMetadata, MemberMetadata};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::uuid_text;

pub(in crate::coordinator::group) fn join(
    shard: &GroupShard,
    group: &ConsumerGroup,
    request: &JoinRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    let mut draft = Draft::new(shard, group.clone(), Vec::new(), now);
    let response = match draft.join_classic(request) {
        Ok(response) => response,
        // As Kafka, which names the member only when it asks it to come again.
        Err(error) => JoinResponse::error("", error.code),
    };
    if response.error != ErrorCode::None {
        return Outcome::reply(id, Response::Join(response));
    }
    let mut outcome = draft.finish();
    outcome.replies.push((id, Response::Join(response)));
    outcome
}

impl Draft {
    fn join_classic(&mut self, request: &JoinRequest) -> Result<JoinResponse, ApiError> {
        if self.settings.group_consumer_migration_policy.eq_ignore_ascii_case("DISABLED") {
            return Err(ErrorCode::InconsistentGroupProtocol.into());
        }
        let is_unknown = request.member_id.is_empty();
        let member_id = match is_unknown {
            true => Arc::from(uuid_text(request.fresh_uuid)),
            false => request.member_id.clone(),
        };
        self.check_size(&member_id, request.instance_id.as_deref())?;
        if !self.supports(request) {
            return Err(ErrorCode::InconsistentGroupProtocol.into());
        }
        if is_unknown && request.instance_id.is_none() && request.requires_known_member_id {
            return Ok(JoinResponse::error(&member_id, ErrorCode::MemberIdRequired));
        }
        let epoch_before = self.group.epoch;
        let before = self.joining_member(request, &member_id, is_unknown)?;
        let subscription = embedded::read_subscription(&request.protocols[0].metadata)
            .map_err(|_| ApiError::from(ErrorCode::InconsistentGroupProtocol))?;
        let metadata = classic_metadata(request, &subscription, &before.metadata);
        let has_changed_topics = self.store(&member_id, &before, metadata);
        let has_changed_regex = self.update_regex(&before.metadata, &member_id)?;
        let has_changed = has_changed_topics || has_changed_regex;
        self.refresh_subscription(has_changed);
        // The last member of the other protocol was the former self of this one.
        let was_consumer = request.instance_id.is_some()
            && before.metadata.instance_id.is_some()
            && before.metadata.classic.is_none();
        let downgrades = was_consumer && self.is_to_downgrade(&[]);
        let is_stale = self.group.target_epoch.epoch < self.group.epoch;
        if !downgrades {
            self.update_targets()?;
        }
        if !(downgrades && is_stale) {
            let owned = embedded::by_topic_id(&subscription.owned, &*self.topics);
            self.reconcile(&member_id, has_changed, Some(&owned))?;
        }
        let generation = self.group.member(&member_id)?.epoch();
        if downgrades {
            self.downgrade(&[], epoch_before, is_stale)?;
        } else {
            let deadline_ms = self.now.uptime_ms + i64::from(request.rebalance_timeout_ms.max(0));
            self.note(GroupEvent::Owes { member_id: member_id.clone(), owed: Owed::Join, deadline_ms: None });
            let owes_sync = GroupEvent::Owes {
                member_id: member_id.clone(),
                owed: Owed::Sync,
                deadline_ms: Some(deadline_ms),
            };
            self.note(owes_sync);
            self.heard(&member_id);
        }
        Ok(JoinResponse {
            error: ErrorCode::None,
            generation,
            protocol_type: Some(Arc::from(CONSUMER)),
            protocol: Some(request.protocols[0].name.clone()),
            leader: Arc::from(""),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        })
    }

    /// Whether one of its protocols is one that all classic members of the group can do.
    fn supports(&self, request: &JoinRequest) -> bool {
        let classic = || self.group.members.values().filter_map(|member| member.metadata.classic.as_ref());
        &*request.protocol_type == CONSUMER
            && request.protocols.iter().any(|offered| {
                classic().all(|member| member.protocols.iter().any(|known| known.name == offered.name))
            })
    }

    /// The member as it was; a static one may take the place of its former self.
    fn joining_member(
        &mut self,
        request: &JoinRequest,
        member_id: &Arc<str>,
        is_unknown: bool,
    ) -> Result<Member, ApiError> {
        let known = || self.group.members.get(member_id).cloned().unwrap_or_else(Member::unknown);
        let Some(instance_id) = &request.instance_id else { return Ok(known()) };
        let existing = self.group.static_member(instance_id).map(|(id, member)| (id.clone(), member.clone()));
        match existing {
            None if is_unknown => Ok(known()),
            None => Err(unknown_instance(instance_id)),
            Some((owner_id, owner)) if is_unknown => Ok(self.replace(&owner_id, &owner, member_id)),
            Some((owner_id, owner)) => {
                check_instance(&owner_id, member_id, instance_id)?;
                Ok(owner)
            }
        }
    }
}

fn classic_metadata(
    request: &JoinRequest,
    subscription: &Subscription,
    before: &MemberMetadata,
) -> MemberMetadata {
    let classic = ClassicMetadata {
        session_timeout_ms: request.session_timeout_ms,
        protocols: request.protocols.clone(),
    };
    MemberMetadata {
        instance_id: request.instance_id.clone().or_else(|| before.instance_id.clone()),
        rack_id: subscription.rack_id.clone().or_else(|| before.rack_id.clone()),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        subscribed_topics: subscription.topics.clone(),
        subscribed_regex: None,
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            -1 => before.rebalance_timeout_ms,
            timeout_ms => timeout_ms,
        },
        server_assignor: before.server_assignor.clone(),
        classic: Some(classic),
    }
}
