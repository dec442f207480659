//! A member of a group whose coordinator assigns (KIP-848): it says what it has and takes what it is given.
//!
//! It gives up partitions at once when it is told to, and says so at once, as the Java consumer does; other heartbeats
//! follow at the interval that the coordinator wants, and repeat nothing that it knows.

use std::time::Duration;

use anyhow::{bail, ensure};

use super::{Member, Next};
use crate::group;
use crate::wire::{Reader, Request};

const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
const REBALANCE_TIMEOUT_MS: i32 = 10_000;
const JOINS: i32 = 0;
const LEAVES: i32 = -1;
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const TOPIC_ID_SIZE_BYTES: usize = 16;

pub struct Consumer {
    group: String,
    topic: String,
    member_id: String,
    epoch: i32,
    is_leaving: bool,
    topic_id: [u8; TOPIC_ID_SIZE_BYTES],
    partitions: Vec<i32>,
}

impl Consumer {
    pub fn new(group: &str, topic: &str, number: usize) -> Consumer {
        Consumer {
            group: group.to_owned(),
            topic: topic.to_owned(),
            member_id: format!("member-{number:05}"),
            epoch: JOINS,
            is_leaving: false,
            topic_id: [0; TOPIC_ID_SIZE_BYTES],
            partitions: Vec::new(),
        }
    }

    /// `is_new`: with what the coordinator does not know yet; `owned`: with the partitions of the member.
    fn request(&self, epoch: i32, is_new: bool, owned: bool) -> Vec<u8> {
        let mut request = Request::new(CONSUMER_GROUP_HEARTBEAT, 1, true);
        request.compact_string(&self.group).compact_string(&self.member_id).i32(epoch);
        request.null().null(); // instance, rack
        if is_new {
            request.i32(REBALANCE_TIMEOUT_MS).compact_count(1).compact_string(&self.topic);
        } else {
            request.i32(-1).null();
        }
        request.null().null(); // pattern, assignor
        if !owned {
            request.null();
        } else if self.partitions.is_empty() {
            request.compact_count(0);
        } else {
            request.compact_count(1).raw(&self.topic_id).compact_count(self.partitions.len());
            for partition in &self.partitions {
                request.i32(*partition);
            }
            request.no_tags();
        }
        request.no_tags();
        request.finish()
    }

    fn take_assignment(&mut self, answer: &mut Reader<'_>) -> anyhow::Result<()> {
        self.partitions.clear();
        let topic_count = answer.compact_count()?;
        ensure!(topic_count <= 1, "an assignment has {topic_count} topics where there is one");
        if topic_count == 1 {
            self.topic_id.copy_from_slice(answer.take(TOPIC_ID_SIZE_BYTES)?);
            for _ in 0..answer.compact_count()? {
                self.partitions.push(answer.i32()?);
            }
        }
        Ok(())
    }
}

impl Member for Consumer {
    fn join(&mut self) -> Vec<u8> {
        self.request(JOINS, true, true)
    }

    fn beat(&mut self) -> Vec<u8> {
        if self.epoch == JOINS { self.join() } else { self.request(self.epoch, false, false) }
    }

    fn leave(&mut self) -> Vec<u8> {
        self.is_leaving = true;
        self.request(LEAVES, false, false)
    }

    fn answered(&mut self, mut answer: Reader<'_>) -> anyhow::Result<Next> {
        answer.tags()?;
        answer.i32()?; // throttle time
        let error_code = answer.i16()?;
        let message = String::from_utf8_lossy(answer.compact_bytes()?).into_owned();
        match error_code {
            group::NONE => {}
            group::COORDINATOR_LOAD_IN_PROGRESS => return Ok(Next::Wait(RETRY_PAUSE)),
            error_code => bail!("{} is refused: error code {error_code} {message}", self.member_id),
        }
        if self.is_leaving {
            return Ok(Next::Left);
        }
        answer.compact_bytes()?; // member id
        self.epoch = answer.i32()?;
        let interval = Duration::from_millis(u64::try_from(answer.i32()?)?);
        let is_assigned = answer.take(1)? == [1];
        if !is_assigned {
            return Ok(Next::Wait(interval));
        }
        self.take_assignment(&mut answer)?;
        Ok(Next::Send(self.request(self.epoch, false, true)))
    }

    fn held(&self) -> Option<(i32, &[i32])> {
        (self.epoch != JOINS).then_some((self.epoch, &self.partitions))
    }
}
