//! ConsumerGroupHeartbeat: what a member says, what it must not say, and what it is told. Kafka:
//! `GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid`.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::assignment::Assignment;
use super::assignor::Assignor;
use super::group::{LEAVE_EPOCH, STATIC_LEAVE_EPOCH};
use super::target::configured_assignors;
use crate::config::broker::GroupSettings;
use crate::coordinator::group::records::consumer::MemberMetadata;
use crate::protocol::errors::{ApiError, ErrorCode};

/// From this version on members choose their ids themselves.
const CLIENT_MADE_ID_SINCE_VERSION: i16 = 1;

/// What is `None` is as it was.
#[derive(Clone, Debug)]
pub struct HeartbeatRequest {
    pub version: i16,
    pub group: Arc<str>,
    /// Empty in version 0 when it joins.
    pub member_id: Arc<str>,
    /// 0 joins, -1 leaves, -2 leaves and means to come back as the same static member.
    pub member_epoch: i32,
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    /// -1: as it was.
    pub rebalance_timeout_ms: i32,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topics: Option<BTreeSet<Arc<str>>>,
    /// Empty: no longer.
    pub subscribed_regex: Option<Arc<str>>,
    pub server_assignor: Option<Arc<str>>,
    pub owned: Option<Assignment>,
    /// Makes the id of a member that has none.
    pub fresh_uuid: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatResponse {
    pub member_id: Arc<str>,
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    /// `None`: as it was.
    pub assignment: Option<Assignment>,
}

impl HeartbeatRequest {
    pub fn is_joining(&self) -> bool {
        self.member_epoch == 0
    }

    pub fn is_leaving(&self) -> bool {
        self.member_epoch == LEAVE_EPOCH || self.member_epoch == STATIC_LEAVE_EPOCH
    }

    /// Whether the member has told everything, as it does after it has joined and when something went wrong. Then it is
    /// told everything, too.
    pub fn is_full(&self) -> bool {
        let has_subscription = self.subscribed_topics.is_some() || self.subscribed_regex.is_some();
        self.rebalance_timeout_ms != -1 && has_subscription && self.owned.is_some()
    }

    pub fn validate(&self, settings: &GroupSettings) -> Result<(), ApiError> {
        if self.version >= CLIENT_MADE_ID_SINCE_VERSION
            || self.member_epoch > 0
            || self.member_epoch == LEAVE_EPOCH
        {
            not_empty(Some(&self.member_id), "MemberId can't be empty.")?;
        }
        not_empty(Some(&self.group), "GroupId can't be empty.")?;
        not_empty(self.instance_id.as_ref(), "InstanceId can't be empty.")?;
        not_empty(self.rack_id.as_ref(), "RackId can't be empty.")?;
        self.validate_epoch()?;
        match &self.server_assignor {
            Some(name) if !configured_assignors(settings).any(|assignor| assignor.name() == &**name) => {
                let supported: Vec<&str> = configured_assignors(settings).map(Assignor::name).collect();
                let supported = supported.join(", ");
                let message =
                    format!("ServerAssignor {name} is not supported. Supported assignors: {supported}.");
                Err(ApiError::new(ErrorCode::UnsupportedAssignor, message))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn validate_epoch(&self) -> Result<(), ApiError> {
        if self.is_joining() {
            if self.rebalance_timeout_ms == -1 {
                return Err(invalid("RebalanceTimeoutMs must be provided in first request."));
            }
            if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return Err(invalid("TopicPartitions must be empty when (re-)joining."));
            }
            if self.subscribed_topics.is_none() && self.subscribed_regex.is_none() {
                return Err(invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                ));
            }
        } else if self.member_epoch == STATIC_LEAVE_EPOCH && self.instance_id.is_none() {
            return Err(invalid("InstanceId can't be null."));
        } else if self.member_epoch < STATIC_LEAVE_EPOCH {
            return Err(invalid("MemberEpoch is invalid."));
        }
        Ok(())
    }

    /// What the member is known as from here on.
    pub fn metadata(&self, before: &MemberMetadata) -> MemberMetadata {
        let or = |said: &Option<Arc<str>>, before: &Option<Arc<str>>| said.clone().or_else(|| before.clone());
        MemberMetadata {
            instance_id: or(&self.instance_id, &before.instance_id),
            rack_id: or(&self.rack_id, &before.rack_id),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topics: match &self.subscribed_topics {
                Some(topics) => topics.clone(),
                None => before.subscribed_topics.clone(),
            },
            subscribed_regex: or(&self.subscribed_regex, &before.subscribed_regex),
            rebalance_timeout_ms: match self.rebalance_timeout_ms {
                -1 => before.rebalance_timeout_ms,
                timeout_ms => timeout_ms,
            },
            server_assignor: or(&self.server_assignor, &before.server_assignor),
            classic: None,
        }
    }

    /// Whether [`HeartbeatRequest::metadata`] would say the same, without making it.
    pub fn repeats(&self, before: &MemberMetadata) -> bool {
        let same = |said: &Option<Arc<str>>, before: &Option<Arc<str>>| said.is_none() || said == before;
        same(&self.instance_id, &before.instance_id)
            && same(&self.rack_id, &before.rack_id)
            && self.client_id == before.client_id
            && self.client_host == before.client_host
            && self.subscribed_topics.as_ref().is_none_or(|topics| *topics == before.subscribed_topics)
            && same(&self.subscribed_regex, &before.subscribed_regex)
            && (self.rebalance_timeout_ms == -1 || self.rebalance_timeout_ms == before.rebalance_timeout_ms)
            && same(&self.server_assignor, &before.server_assignor)
            && before.classic.is_none()
    }
}

fn not_empty(text: Option<&Arc<str>>, refusal: &str) -> Result<(), ApiError> {
    match text {
        // What Java's `String.trim` takes away.
        Some(text) if text.chars().all(|letter| letter <= ' ') => Err(invalid(refusal)),
        Some(_) | None => Ok(()),
    }
}

fn invalid(refusal: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, refusal)
}
