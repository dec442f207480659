use super::*;

fn samples() -> Vec<MetadataRecord> {
    let topic_id = TopicId(Uuid::from_u128(0x1234_5678_9abc_def0));
    let partition = PartitionRecord {
        partition: PartitionIndex(3),
        topic_id,
        replicas: vec![BrokerId(1), BrokerId(2)],
        isr: vec![BrokerId(2)],
        removing_replicas: vec![BrokerId(1)],
        adding_replicas: vec![],
        leader: BrokerId(2),
        leader_recovery_state: 1,
        leader_epoch: LeaderEpoch(7),
        partition_epoch: 9,
        directories: vec![Uuid::from_u128(1000), Uuid::from_u128(2000)],
        elr: vec![BrokerId(1)],
        last_known_elr: vec![],
    };
    let mut change = PartitionChangeRecord::new(topic_id, PartitionIndex(3));
    change.isr = Some(vec![]);
    change.leader = Some(BrokerId::NONE);
    change.directories = Some(vec![Uuid::from_u128(5)]);
    vec![
        MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id: BrokerId(1),
            incarnation_id: Uuid::from_u128(77),
            broker_epoch: Offset(5),
            endpoints: vec![Endpoint {
                name: "PLAINTEXT".into(),
                host: "localhost".into(),
                port: 9092,
                security_protocol: 0,
            }],
            features: vec![SupportedFeature { name: "metadata.version".into(), min_level: 7, max_level: 30 }],
            rack: Some("a".into()),
            fenced: true,
            in_controlled_shutdown: false,
            directories: vec![Uuid::from_u128(1000)],
        }),
        MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
            broker_id: BrokerId(4),
            broker_epoch: Offset(8),
        }),
        MetadataRecord::Topic(TopicRecord { name: "orders".into(), topic_id }),
        MetadataRecord::Partition(partition),
        MetadataRecord::Config(ConfigRecord {
            resource_type: 2,
            resource_name: "orders".into(),
            name: "retention.ms".into(),
            value: None,
        }),
        MetadataRecord::PartitionChange(change),
        MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id }),
        MetadataRecord::FeatureLevel(FeatureLevelRecord { name: "group.version".into(), level: 1 }),
        MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: BrokerId(1),
            broker_epoch: Offset(5),
            next_producer_id: ProducerId(1000),
        }),
        MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: BrokerId(1),
            broker_epoch: Offset(5),
            fenced: Some(false),
            in_controlled_shutdown: None,
            directories: Some(vec![Uuid::from_u128(1000)]),
        }),
        MetadataRecord::UserScramCredential(UserScramCredentialRecord {
            name: "alice".into(),
            mechanism: ScramMechanism::Sha512,
            credential: ScramCredential {
                salt: vec![1, 2],
                stored_key: vec![3; 64],
                server_key: vec![4; 64],
                iterations: 8192,
            },
        }),
        MetadataRecord::RemoveUserScramCredential(RemoveUserScramCredentialRecord {
            name: "alice".into(),
            mechanism: ScramMechanism::Sha256,
        }),
        MetadataRecord::ClientQuota(ClientQuotaRecord {
            entity: QuotaEntity::new([("user", Some("alice".to_owned())), ("client-id", None)]),
            key: "producer_byte_rate".into(),
            value: Some(QuotaValue(1024.5)),
        }),
        MetadataRecord::ClientQuota(ClientQuotaRecord {
            entity: QuotaEntity::new([("ip", None)]),
            key: "connection_creation_rate".into(),
            value: None,
        }),
        MetadataRecord::NoOp,
    ]
}

fn encoded(record: &MetadataRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

#[test]
fn each_record_reads_back_as_it_was() {
    for record in samples() {
        let bytes = encoded(&record);
        let mut reader = Reader::new(&bytes);
        assert_eq!(MetadataRecord::decode(&mut reader), Ok(record));
        assert_eq!(reader.remaining(), 0);
    }
}

#[test]
fn a_topic_record_has_kafkas_bytes() {
    let record = TopicRecord { name: "ab".into(), topic_id: TopicId(Uuid::from_u128(1)) };
    let mut expected = vec![23, 1, 2, 0, 3, b'a', b'b'];
    expected.extend_from_slice(Uuid::from_u128(1).as_bytes());
    expected.push(0);
    assert_eq!(encoded(&MetadataRecord::Topic(record)), expected);
}

#[test]
fn damaged_bytes_are_refused_and_never_panic() {
    for record in samples() {
        let bytes = encoded(&record);
        for size in 0..bytes.len() {
            assert!(MetadataRecord::decode(&mut Reader::new(&bytes[..size])).is_err());
        }
        for position in 0..bytes.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] = value;
                // Whatever it is read as, it is read without panic and without an absurd allocation.
                let _ = MetadataRecord::decode(&mut Reader::new(&damaged));
            }
        }
    }
}

#[test]
fn unknown_records_and_versions_are_refused() {
    assert!(MetadataRecord::decode(&mut Reader::new(&[4, 1, 99, 0, 0])).is_err());
    assert!(MetadataRecord::decode(&mut Reader::new(&[4, 1, 20, 1, 0])).is_err());
    assert!(MetadataRecord::decode(&mut Reader::new(&[4, 2, 20, 0, 0])).is_err());
}
