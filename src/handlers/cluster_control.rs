//! What the nodes of a cluster sent each other before KRaft: LeaderAndIsr (key 4), StopReplica (5), UpdateMetadata (6),
//! ControlledShutdown (7), AlterPartition (56), AllocateProducerIds (67).
//!
//! Releases with ZooKeeper listed them to clients, so they are there when this broker passes for one of these
//! (`releases`). Only nodes of the cluster may send them, and this broker has no other nodes: whoever does is not
//! authorized. Kafka: `KafkaApis.handleLeaderAndIsrRequest` and the like.

use bytes::BufMut;

use super::context::RequestContext;
use super::reply::Output;
use super::table::Api;
use crate::protocol::errors::ErrorCode;
use crate::protocol::shapes;

const LEADER_AND_ISR: i16 = 4;
const STOP_REPLICA: i16 = 5;
const UPDATE_METADATA: i16 = 6;
const CONTROLLED_SHUTDOWN: i16 = 7;
const ALTER_PARTITION: i16 = 56;
const ALLOCATE_PRODUCER_IDS: i16 = 67;

/// All that any release with ZooKeeper knew of them.
pub const APIS: &[Api] = &[
    api(LEADER_AND_ISR, "LeaderAndIsr", 7),
    api(STOP_REPLICA, "StopReplica", 4),
    api(UPDATE_METADATA, "UpdateMetadata", 8),
    api(CONTROLLED_SHUTDOWN, "ControlledShutdown", 3),
    api(ALTER_PARTITION, "AlterPartition", 3),
    api(ALLOCATE_PRODUCER_IDS, "AllocateProducerIds", 0),
];

const fn api(key: i16, name: &'static str, max_version: i16) -> Api {
    Api { key, name, min_version: 0, max_version, advertised_min_version: 0, common_since: 0 }
}

/// Whether `key` is one of these.
pub fn is(key: i16) -> bool {
    APIS.iter().any(|api| api.key == key)
}

/// Where the body of the first ControlledShutdown begins, whose header has no client id. `None` for all others.
pub fn body_start(key: i16, version: i16) -> Option<usize> {
    const BEHIND_CORRELATION_ID: usize = 8;
    ((key, version) == (CONTROLLED_SHUTDOWN, 0)).then_some(BEHIND_CORRELATION_ID)
}

/// Answers CLUSTER_AUTHORIZATION_FAILED. The body of the request has passed the shape check.
pub fn refuse(context: &RequestContext, out: &mut Output) {
    let code = ErrorCode::ClusterAuthorizationFailed;
    context.failed(code);
    let (key, version) = (context.api.key, context.version);
    let is_flexible = shapes::is_flexible(key, version);
    context.respond(out, |out| write(&mut out.bytes, key, is_flexible, code.code()));
}

fn write(out: &mut impl BufMut, key: i16, is_flexible: bool, code: i16) {
    const THROTTLE_TIME_MS: i32 = 0;
    match key {
        ALTER_PARTITION | ALLOCATE_PRODUCER_IDS => out.put_i32(THROTTLE_TIME_MS),
        _ => {}
    }
    out.put_i16(code);
    match key {
        UPDATE_METADATA => {}
        // The first producer id and how many of them.
        ALLOCATE_PRODUCER_IDS => {
            out.put_i64(0);
            out.put_i32(0);
        }
        // No partitions, or topics.
        _ if is_flexible => out.put_u8(1),
        _ => out.put_i32(0),
    }
    if is_flexible {
        const NO_TAGS: u8 = 0;
        out.put_u8(NO_TAGS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: i16, is_flexible: bool, expected: &[u8]) {
        let mut written = Vec::new();
        write(&mut written, key, is_flexible, 31);
        assert_eq!(written, expected);
    }

    #[test]
    fn each_answer_has_its_shape() {
        check(LEADER_AND_ISR, false, &[0, 31, 0, 0, 0, 0]);
        check(LEADER_AND_ISR, true, &[0, 31, 1, 0]);
        check(STOP_REPLICA, true, &[0, 31, 1, 0]);
        check(UPDATE_METADATA, false, &[0, 31]);
        check(UPDATE_METADATA, true, &[0, 31, 0]);
        check(CONTROLLED_SHUTDOWN, false, &[0, 31, 0, 0, 0, 0]);
        check(ALTER_PARTITION, true, &[0, 0, 0, 0, 0, 31, 1, 0]);
        let no_ids = [0; 12];
        check(ALLOCATE_PRODUCER_IDS, true, &[&[0, 0, 0, 0, 0, 31][..], &no_ids, &[0]].concat());
    }
}
