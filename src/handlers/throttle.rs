//! Where a response says for how long its client is throttled: `throttle_time_ms`, in Kafka's message definitions.
//!
//! Produce, Fetch and ApiVersions write it themselves. In nearly all others it is the first field, in those about delegation
//! tokens the last, so it is put in after they are encoded, and no handler knows of quotas. Kafka: `AbstractResponse.maybeSetThrottleTimeMs`.

use crate::protocol::shapes;

/// Length and correlation id, before a response's header has tagged fields.
const HEADER_SIZE_BYTES: usize = 8;

const FIELD_SIZE_BYTES: usize = 4;

/// Where in the body the field is.
enum Place {
    /// Behind so many bytes.
    Behind(usize),
    /// At the end, before tagged fields.
    Last,
}

/// Puts `throttle_ms` into a response, given with its length; answers older than the field have no place.
pub fn stamp(key: i16, version: i16, response: &mut [u8], throttle_ms: u32) {
    let Some(start) = start(key, version, response.len()) else { return };
    if let Some(field) = response.get_mut(start..start + FIELD_SIZE_BYTES) {
        field.copy_from_slice(&(throttle_ms.min(i32::MAX as u32) as i32).to_be_bytes());
    }
}

/// Where the field starts in a response of this size.
fn start(key: i16, version: i16, size_bytes: usize) -> Option<usize> {
    let tags_size_bytes = usize::from(shapes::response_header_version(key, version) > 0);
    match place(key, version)? {
        Place::Behind(offset) => Some(HEADER_SIZE_BYTES + tags_size_bytes + offset),
        Place::Last => size_bytes.checked_sub(FIELD_SIZE_BYTES + tags_size_bytes),
    }
}

fn place(key: i16, version: i16) -> Option<Place> {
    let (since, offset) = match key {
        // FindCoordinator, Heartbeat to ListGroups, DeleteTopics
        10 | 12..=16 | 20 => (1, 0),
        // ListOffsets, JoinGroup, CreateTopics, OffsetForLeaderEpoch
        2 | 11 | 19 | 23 => (2, 0),
        // Metadata, OffsetCommit, OffsetFetch
        3 | 8 | 9 => (3, 0),
        // DeleteRecords, InitProducerId
        21 | 22 => (0, 0),
        // AddPartitionsToTxn, AddOffsetsToTxn, EndTxn; TxnOffsetCommit to DescribeLogDirs
        24..=26 | 28..=35 => (0, 0),
        // CreateDelegationToken to DescribeDelegationToken
        38..=41 => return Some(Place::Last),
        // CreatePartitions; DeleteGroups to ListPartitionReassignments
        37 | 42..=46 => (0, 0),
        // OffsetDelete has its error code first.
        47 => (0, 2),
        // DescribeClientQuotas to AlterUserScramCredentials
        48..=51 => (0, 0),
        // UpdateFeatures; DescribeCluster, DescribeProducers
        57 | 60 | 61 => (0, 0),
        // UnregisterBroker to ListTransactions; ConsumerGroupHeartbeat, ConsumerGroupDescribe
        64..=66 | 68 | 69 => (0, 0),
        // GetTelemetrySubscriptions, PushTelemetry; ListConfigResources to RemoveRaftVoter
        71 | 72 | 74..=81 => (0, 0),
        // StreamsGroupHeartbeat to DeleteShareGroupOffsets; UnregisterController
        88..=92 | 94 => (0, 0),
        _ => return None,
    };
    (version >= since).then_some(Place::Behind(offset))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Encodable, Message};

    use super::*;

    const MARK: i32 = 0x0102_0304;

    /// The response says MARK in the same place where `stamp` would put it, in every version that says it at all.
    fn check<Response: Encodable + Message>(key: i16, marked: Response) {
        for version in Response::VERSIONS.min..=Response::VERSIONS.max {
            let tags_size_bytes = usize::from(shapes::response_header_version(key, version) > 0);
            let mut bytes = vec![0; HEADER_SIZE_BYTES + tags_size_bytes];
            marked.encode(&mut bytes, version).unwrap();
            let expected = start(key, version, bytes.len()).map(|at| bytes[at..at + 4].to_vec());
            let told = bytes.windows(4).any(|window| window == MARK.to_be_bytes());
            assert_eq!(expected, told.then(|| MARK.to_be_bytes().to_vec()), "key {key} version {version}");
        }
    }

    #[test]
    fn the_field_is_where_the_codec_crate_writes_it() {
        check(2, ListOffsetsResponse::default().with_throttle_time_ms(MARK));
        check(3, MetadataResponse::default().with_throttle_time_ms(MARK));
        check(8, OffsetCommitResponse::default().with_throttle_time_ms(MARK));
        check(10, FindCoordinatorResponse::default().with_throttle_time_ms(MARK));
        check(11, JoinGroupResponse::default().with_throttle_time_ms(MARK));
        check(12, HeartbeatResponse::default().with_throttle_time_ms(MARK));
        check(13, LeaveGroupResponse::default().with_throttle_time_ms(MARK));
        check(14, SyncGroupResponse::default().with_throttle_time_ms(MARK));
        check(15, DescribeGroupsResponse::default().with_throttle_time_ms(MARK));
        check(16, ListGroupsResponse::default().with_throttle_time_ms(MARK));
        check(19, CreateTopicsResponse::default().with_throttle_time_ms(MARK));
        check(20, DeleteTopicsResponse::default().with_throttle_time_ms(MARK));
        check(21, DeleteRecordsResponse::default().with_throttle_time_ms(MARK));
        check(22, InitProducerIdResponse::default().with_throttle_time_ms(MARK));
        check(23, OffsetForLeaderEpochResponse::default().with_throttle_time_ms(MARK));
        check(29, DescribeAclsResponse::default().with_throttle_time_ms(MARK));
        check(32, DescribeConfigsResponse::default().with_throttle_time_ms(MARK));
        check(35, DescribeLogDirsResponse::default().with_throttle_time_ms(MARK));
        check(37, CreatePartitionsResponse::default().with_throttle_time_ms(MARK));
        check(38, CreateDelegationTokenResponse::default().with_throttle_time_ms(MARK));
        check(39, RenewDelegationTokenResponse::default().with_throttle_time_ms(MARK));
        check(40, ExpireDelegationTokenResponse::default().with_throttle_time_ms(MARK));
        check(41, DescribeDelegationTokenResponse::default().with_throttle_time_ms(MARK));
        check(42, DeleteGroupsResponse::default().with_throttle_time_ms(MARK));
        check(43, ElectLeadersResponse::default().with_throttle_time_ms(MARK));
        check(44, IncrementalAlterConfigsResponse::default().with_throttle_time_ms(MARK));
        check(46, ListPartitionReassignmentsResponse::default().with_throttle_time_ms(MARK));
        check(47, OffsetDeleteResponse::default().with_throttle_time_ms(MARK));
        check(49, AlterClientQuotasResponse::default().with_throttle_time_ms(MARK));
        check(55, DescribeQuorumResponse::default());
        check(57, UpdateFeaturesResponse::default().with_throttle_time_ms(MARK));
        check(60, DescribeClusterResponse::default().with_throttle_time_ms(MARK));
        check(61, DescribeProducersResponse::default().with_throttle_time_ms(MARK));
        check(64, UnregisterBrokerResponse::default().with_throttle_time_ms(MARK));
        check(75, DescribeTopicPartitionsResponse::default().with_throttle_time_ms(MARK));
        check(80, AddRaftVoterResponse::default().with_throttle_time_ms(MARK));
        check(81, RemoveRaftVoterResponse::default().with_throttle_time_ms(MARK));
    }

    #[test]
    fn a_body_too_short_for_the_field_stays_as_it_is() {
        let mut response = [7; 12];
        stamp(3, 12, &mut response, 5);
        assert_eq!(response, [7; 12]);
        stamp(3, 8, &mut response, 5);
        assert_eq!(response, [7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 5]);
    }
}
