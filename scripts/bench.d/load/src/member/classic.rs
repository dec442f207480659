//! A member of a classic group: JoinGroup, SyncGroup, heartbeats; the leader assigns ranges of partitions.
//!
//! Metadata and assignments have the form that Kafka's consumers give them (ConsumerProtocolSubscription and
//! ConsumerProtocolAssignment), in version 0.

use std::time::Duration;

use anyhow::{bail, ensure};

use super::{Member, Next};
use crate::group::{self, JoinAnswer, Joined, Subscription};
use crate::wire::{Reader, Request};

const PROTOCOL_TYPE: &str = "consumer";
/// A third of the Java consumer's, so that a step is short.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

enum Asked {
    Join,
    Sync,
    Heartbeat,
    Leave,
}

pub struct Classic {
    group: String,
    topic: String,
    partition_count: i32,
    subscription: Vec<u8>,
    member_id: String,
    generation: i32,
    asked: Asked,
    is_joined: bool,
    partitions: Vec<i32>,
}

impl Classic {
    pub fn new(group: &str, topic: &str, partition_count: i32) -> Classic {
        let mut subscription = Request::body();
        subscription.i16(0).i32(1).string(topic).bytes(b""); // version 0, one topic, no user data
        Classic {
            group: group.to_owned(),
            topic: topic.to_owned(),
            partition_count,
            subscription: subscription.into_body(),
            member_id: String::new(),
            generation: -1,
            asked: Asked::Join,
            is_joined: false,
            partitions: Vec::new(),
        }
    }

    /// Contiguous partitions for each member.
    fn assign(&self, members: &[String]) -> Vec<(String, Vec<u8>)> {
        let partition_count = self.partition_count as usize;
        let bound = |index: usize| index * partition_count / members.len();
        let one = |(index, member_id): (usize, &String)| {
            let partitions = bound(index)..bound(index + 1);
            let mut assignment = Request::body();
            assignment.i16(0).i32(1).string(&self.topic).i32(partitions.len() as i32);
            for partition in partitions {
                assignment.i32(partition as i32);
            }
            assignment.bytes(b"");
            (member_id.clone(), assignment.into_body())
        };
        members.iter().enumerate().map(one).collect()
    }

    fn joined(&mut self, joined: Joined) -> Next {
        self.member_id = joined.member_id;
        self.generation = joined.generation;
        self.asked = Asked::Sync;
        let all = self.assign(&joined.members);
        Next::Send(group::sync_request(&self.group, self.generation, &self.member_id, &all))
    }

    fn synced(&mut self, assignment: &[u8]) -> anyhow::Result<Next> {
        let mut reader = Reader::new(assignment);
        ensure!(reader.i16()? == 0 && reader.i32()? == 1, "the assignment is not what the leader has made");
        ensure!(reader.string()? == self.topic.as_bytes(), "the assignment is about another topic");
        self.partitions.clear();
        for _ in 0..reader.i32()? {
            self.partitions.push(reader.i32()?);
        }
        self.is_joined = true;
        Ok(Next::Wait(HEARTBEAT_INTERVAL))
    }

    /// What an error code comes to.
    fn refused(&mut self, error_code: i16) -> anyhow::Result<Next> {
        self.is_joined = false;
        match error_code {
            group::UNKNOWN_MEMBER_ID => self.member_id.clear(),
            group::REBALANCE_IN_PROGRESS | group::ILLEGAL_GENERATION => {}
            group::COORDINATOR_LOAD_IN_PROGRESS => return Ok(Next::Wait(RETRY_PAUSE)),
            error_code => bail!("a member is refused: error code {error_code}"),
        }
        Ok(Next::Send(self.join()))
    }
}

impl Member for Classic {
    fn join(&mut self) -> Vec<u8> {
        self.asked = Asked::Join;
        let subscription = Subscription { protocol_type: PROTOCOL_TYPE, metadata: &self.subscription };
        group::join_request(&self.group, &self.member_id, &subscription)
    }

    fn beat(&mut self) -> Vec<u8> {
        if !self.is_joined {
            return self.join();
        }
        self.asked = Asked::Heartbeat;
        group::heartbeat_request(&self.group, &self.member_id, self.generation)
    }

    fn leave(&mut self) -> Vec<u8> {
        self.asked = Asked::Leave;
        group::leave_request(&self.group, &self.member_id)
    }

    fn answered(&mut self, answer: Reader<'_>) -> anyhow::Result<Next> {
        match self.asked {
            Asked::Join => match group::read_join(answer)? {
                JoinAnswer::Joined(joined) => Ok(self.joined(joined)),
                JoinAnswer::MemberIdRequired(given) => {
                    self.member_id = given;
                    Ok(Next::Send(self.join()))
                }
                JoinAnswer::Refused(error_code) => self.refused(error_code),
            },
            Asked::Sync => match group::read_sync(answer)? {
                (group::NONE, assignment) => self.synced(assignment),
                (error_code, _) => self.refused(error_code),
            },
            Asked::Heartbeat => match group::read_error_code(answer)? {
                group::NONE => Ok(Next::Wait(HEARTBEAT_INTERVAL)),
                error_code => self.refused(error_code),
            },
            Asked::Leave => {
                let error_code = group::read_error_code(answer)?;
                ensure!(error_code == group::NONE, "a member cannot leave: error code {error_code}");
                self.is_joined = false;
                Ok(Next::Left)
            }
        }
    }

    fn held(&self) -> Option<(i32, &[i32])> {
        self.is_joined.then_some((self.generation, &self.partitions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_assigned_once() {
        let mut member = Classic::new("group", "topic", 7);
        let all = member.assign(&["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        let mut assigned = Vec::new();
        for (_, assignment) in &all {
            member.synced(assignment).unwrap();
            assigned.extend_from_slice(&member.partitions);
        }
        assert_eq!(assigned, [0, 1, 2, 3, 4, 5, 6]);
    }
}
