//! Stories: commands decided on an image, their records replayed, the image looked at.

mod bounds;
mod leadership;
mod security;

use std::sync::Arc;

use super::*;
use crate::config::broker::BrokerConfig;
use crate::config::dynamic::AlterOperation;
use crate::config::layers::InForce;
use crate::config::resource::{ConfigResource, ResourceKind};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, Uuid};

/// A cluster that commands are given to one after the other, each at the next offset.
struct Cluster {
    image: ClusterImage,
    log: Vec<Vec<MetadataRecord>>,
    configs: InForce,
    supported_features: Vec<SupportedFeature>,
}

impl Cluster {
    fn empty() -> Cluster {
        let (config, _) = BrokerConfig::from_properties(&ConfigMap::new()).unwrap();
        let configs = InForce::as_started(ConfigMap::new(), config);
        let supported = [
            ("eligible.leader.replicas.version", 0, 1),
            ("group.version", 0, 1),
            ("metadata.version", 7, 33),
        ];
        let supported_features = supported.map(|(name, min_level, max_level)| SupportedFeature {
            name: name.to_owned(),
            min_level,
            max_level,
        });
        let supported_features = supported_features.to_vec();
        Cluster { image: ClusterImage::new("cluster".into()), log: Vec::new(), configs, supported_features }
    }

    /// Brokers 1 to `count`, each with two log directories.
    fn with_brokers(count: i32) -> Cluster {
        let mut cluster = Cluster::empty();
        for id in 1..=count {
            cluster.run(registration(id)).unwrap();
        }
        cluster
    }

    fn decide(&self, command: &Command) -> Result<Outcome, ApiError> {
        let mut inputs = Inputs {
            next_offset: Offset(self.log.len() as i64),
            randomness: Randomness::seeded(self.log.len() as u64),
            configs: &self.configs,
            default_partition_count: 1,
            default_replication_factor: 1,
            supported_features: &self.supported_features,
        };
        decide(&self.image, command, &mut inputs)
    }

    fn run(&mut self, command: Command) -> Result<Answer, ApiError> {
        let outcome = self.decide(&command)?;
        for record in &outcome.records {
            self.image.replay(record, Offset(self.log.len() as i64)).unwrap();
        }
        self.log.push(outcome.records);
        Ok(outcome.answer)
    }

    fn create(&mut self, topic: CreateTopic) -> Result<CreatedTopic, ApiError> {
        let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
        match self.run(command).unwrap() {
            Answer::CreateTopics(mut results) => results.remove(0).1,
            other => panic!("{other:?}"),
        }
    }
}

fn registration(id: i32) -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker_id: BrokerId(id),
        cluster_id: "cluster".to_owned(),
        incarnation_id: Uuid::from_u128(9000 + id as u128),
        endpoints: Vec::new(),
        features: Vec::new(),
        rack: None,
        directories: vec![Uuid::from_u128(1000 + id as u128), Uuid::from_u128(2000 + id as u128)],
        fenced: false,
    })
}

fn topic(name: &str, partition_count: i32, replication_factor: i16) -> CreateTopic {
    CreateTopic {
        name: name.to_owned(),
        partitioning: Partitioning::Counts { partition_count, replication_factor },
        configs: Vec::new(),
    }
}

fn manual(name: &str, assignments: &[(i32, &[i32])]) -> CreateTopic {
    let assignments = assignments
        .iter()
        .map(|(index, ids)| (*index, ids.iter().copied().map(BrokerId).collect()))
        .collect();
    CreateTopic {
        name: name.to_owned(),
        partitioning: Partitioning::Manual { assignments, counts: (-1, -1) },
        configs: Vec::new(),
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (ErrorCode, String) {
    let error = result.unwrap_err();
    (error.code, error.message.unwrap_or_default())
}

#[test]
fn a_topic_is_created_with_defaults_and_found_by_name_and_id() {
    let mut cluster = Cluster::with_brokers(1);
    let created = cluster.create(topic("orders", -1, -1)).unwrap();
    assert_eq!((created.partition_count, created.replication_factor), (1, 1));
    let image = cluster.image.topic("orders").unwrap();
    assert_eq!(image.id, created.id);
    assert_eq!(cluster.image.topic_by_id(created.id), Some(image));
    let partition = cluster.image.partition("orders", PartitionIndex(0)).unwrap();
    assert_eq!(partition.leader, BrokerId(1));
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(0), 0));
    assert!(partition.directory_of(BrokerId(1)).is_some());
}

#[test]
fn partitions_spread_over_brokers_and_directories() {
    let mut cluster = Cluster::with_brokers(3);
    cluster.create(topic("wide", 12, 2)).unwrap();
    let image = cluster.image.topic("wide").unwrap();
    for id in 1..=3 {
        let led = image.partitions.iter().filter(|partition| partition.leader == BrokerId(id)).count();
        assert_eq!(led, 4, "broker {id} leads its share");
    }
    for partition in &image.partitions {
        assert_eq!(partition.isr, partition.replicas);
        assert_ne!(partition.replicas[0], partition.replicas[1]);
        assert_eq!(partition.directories.len(), 2);
    }
    let directories: std::collections::BTreeSet<_> =
        image.partitions.iter().filter_map(|partition| partition.directory_of(BrokerId(1))).collect();
    assert_eq!(directories.len(), 2, "both directories of broker 1 are used");
}

#[test]
fn partitions_that_are_alike_share_an_image_until_one_changes() {
    let mut cluster = Cluster::with_brokers(1);
    cluster.create(manual("orders", &[(0, &[1]), (1, &[1]), (2, &[1])])).unwrap();
    let is_shared = |cluster: &Cluster, one: usize, other: usize| {
        let partitions = &cluster.image.topic("orders").unwrap().partitions;
        assert_eq!(partitions[one] == partitions[other], Arc::ptr_eq(&partitions[one], &partitions[other]));
        Arc::ptr_eq(&partitions[one], &partitions[other])
    };
    let before = cluster.image.clone();
    let topic_id = before.topic("orders").unwrap().id;
    let change = |partition: i32| {
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            isr: Some(Vec::new()),
            directories: Some(vec![Uuid::from_u128(9)]),
            ..PartitionChangeRecord::new(topic_id, PartitionIndex(partition))
        })
    };
    cluster.image.replay(&change(1), Offset(90)).unwrap();
    assert!(!is_shared(&cluster, 0, 1) && !is_shared(&cluster, 1, 2));
    cluster.image.replay(&change(2), Offset(91)).unwrap();
    assert!(is_shared(&cluster, 1, 2), "they are alike again");
    assert_eq!(before.topic("orders").unwrap().partitions[1].isr, [BrokerId(1)], "an image never changes");
}

#[test]
fn bad_topics_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_brokers(1);
    cluster.create(topic("a.b", 1, 1)).unwrap();
    let mut check = |topic: CreateTopic, code: ErrorCode, message: &str| {
        assert_eq!(refusal(cluster.create(topic)), (code, message.to_owned()));
    };
    check(topic("a.b", 1, 1), ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists.");
    check(
        topic("a_b", 1, 1),
        ErrorCode::InvalidTopicException,
        "Topic 'a_b' collides with existing topic: a.b",
    );
    check(
        topic("x", 0, 1),
        ErrorCode::InvalidPartitions,
        "Number of partitions was set to an invalid non-positive value.",
    );
    check(
        topic("x", 1, 0),
        ErrorCode::InvalidReplicationFactor,
        "Replication factor must be larger than 0, or -1 to use the default value.",
    );
    check(
        topic("x", 1, 3),
        ErrorCode::InvalidReplicationFactor,
        "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
         only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
    );
    check(
        topic("__cluster_metadata", 1, 1),
        ErrorCode::InvalidRequest,
        "Creation of internal topic __cluster_metadata is prohibited.",
    );
    check(
        manual("x", &[(0, &[1]), (0, &[1])]),
        ErrorCode::InvalidReplicaAssignment,
        "Found multiple manual partition assignments for partition 0",
    );
    check(
        manual("x", &[(1, &[1])]),
        ErrorCode::InvalidReplicaAssignment,
        "partitions should be a consecutive 0-based integer sequence",
    );
    check(
        manual("x", &[(0, &[7])]),
        ErrorCode::InvalidReplicaAssignment,
        "The manual partition assignment includes broker 7, but no such broker is registered.",
    );
    let mut null_config = topic("x", 1, 1);
    null_config.configs = vec![("retention.ms".to_owned(), None)];
    check(null_config, ErrorCode::InvalidConfig, "Null value not supported for topic configs: retention.ms");
    assert!(cluster.image.topic("x").is_none());
}

#[test]
fn one_bad_topic_does_not_stop_the_others_and_duplicates_are_answered_once() {
    let mut cluster = Cluster::with_brokers(1);
    let topics = vec![topic("good", 1, 1), topic("bad name", 1, 1), topic("twin", 1, 1), topic("twin", 1, 1)];
    let Answer::CreateTopics(results) =
        cluster.run(Command::CreateTopics { topics, validate_only: false }).unwrap()
    else {
        panic!("another answer")
    };
    let names: Vec<&str> = results.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["good", "bad name", "twin"]);
    assert!(results[0].1.is_ok());
    assert_eq!(
        refusal(results[2].1.clone()),
        (ErrorCode::InvalidRequest, "Duplicate topic name.".to_owned())
    );
    assert_eq!(cluster.image.topics.len(), 1);
}

#[test]
fn colliding_names_in_one_request_are_refused() {
    let mut cluster = Cluster::with_brokers(1);
    let topics = vec![topic("a.b", 1, 1), topic("a_b", 1, 1)];
    let Answer::CreateTopics(results) =
        cluster.run(Command::CreateTopics { topics, validate_only: false }).unwrap()
    else {
        panic!("another answer")
    };
    assert!(results[0].1.is_ok());
    assert_eq!(refusal(results[1].1.clone()).0, ErrorCode::InvalidTopicException);
}

#[test]
fn too_many_partitions_are_a_policy_violation() {
    let mut cluster = Cluster::with_brokers(1);
    let topics = vec![topic("a", 10_000, 1), topic("b", 1, 1)];
    let result = cluster.run(Command::CreateTopics { topics, validate_only: false });
    assert_eq!(refusal(result).0, ErrorCode::PolicyViolation);
    cluster.create(topic("a", 10_000, 1)).unwrap();
    let more = CreatePartitions { name: "a".to_owned(), count: i32::MAX, assignments: None };
    let Answer::CreatePartitions(results) =
        cluster.run(Command::CreatePartitions { topics: vec![more], validate_only: false }).unwrap()
    else {
        panic!("another answer")
    };
    assert_eq!(refusal(results[0].1.clone()).0, ErrorCode::PolicyViolation);
}

#[test]
fn validate_only_answers_and_writes_nothing() {
    let cluster = Cluster::with_brokers(1);
    let outcome = cluster
        .decide(&Command::CreateTopics { topics: vec![topic("orders", 3, 1)], validate_only: true })
        .unwrap();
    assert_eq!(outcome.records, []);
    let Answer::CreateTopics(results) = outcome.answer else { panic!("another answer") };
    assert_eq!(results[0].1.as_ref().unwrap().partition_count, 3);
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    let mut cluster = Cluster::with_brokers(2);
    cluster.create(topic("orders", 2, 1)).unwrap();
    let mut add = |count, assignments: Option<Vec<Vec<BrokerId>>>| {
        let topics = vec![CreatePartitions { name: "orders".to_owned(), count, assignments }];
        match cluster.run(Command::CreatePartitions { topics, validate_only: false }).unwrap() {
            Answer::CreatePartitions(mut results) => results.remove(0).1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(add(4, None), Ok(()));
    assert_eq!(add(5, Some(vec![vec![BrokerId(2)]])), Ok(()));
    let refused = |result| refusal(result);
    assert_eq!(refused(add(5, None)).1, "Topic already has 5 partition(s).");
    assert_eq!(
        refused(add(3, None)),
        (
            ErrorCode::InvalidPartitions,
            "The topic orders currently has 5 partition(s); 3 would not be an increase.".to_owned()
        )
    );
    assert_eq!(
        refused(add(7, Some(vec![vec![BrokerId(1)]]))).1,
        "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
    );
    assert_eq!(refused(add(-1, None)).0, ErrorCode::InvalidPartitions);
    let image = cluster.image.topic("orders").unwrap();
    assert_eq!(image.partitions.len(), 5);
    assert_eq!(image.partitions[4].leader, BrokerId(2));
}

#[test]
fn a_deleted_topic_takes_its_configuration_along() {
    let mut cluster = Cluster::with_brokers(1);
    let mut with_config = topic("a.b", 1, 1);
    with_config.configs = vec![("retention.ms".to_owned(), Some("5".to_owned()))];
    let created = cluster.create(with_config).unwrap();
    assert_eq!(cluster.image.topic("a.b").unwrap().overrides["retention.ms"], "5");
    let topics = vec![
        TopicReference::Name("a.b".to_owned()),
        TopicReference::Name("none".to_owned()),
        TopicReference::Id(TopicId(Uuid::from_u128(5))),
    ];
    let Answer::DeleteTopics(results) = cluster.run(Command::DeleteTopics { topics }).unwrap() else {
        panic!("another answer")
    };
    assert_eq!(results[0], (Some("a.b".to_owned()), created.id, Ok(())));
    let sentence = "This server does not host this topic-partition.";
    assert_eq!(results[1].2, Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence)));
    let sentence = "This server does not host this topic ID.";
    assert_eq!(results[2].2, Err(ApiError::new(ErrorCode::UnknownTopicId, sentence)));
    assert!(cluster.image.topics.is_empty() && cluster.image.topic_names.is_empty());
    assert!(cluster.image.configs.is_empty());
    cluster.create(topic("a_b", 1, 1)).expect("the name collides with nothing any more");
}

#[test]
fn a_topic_named_by_name_and_by_id_is_not_deleted() {
    let mut cluster = Cluster::with_brokers(1);
    let id = cluster.create(topic("orders", 1, 1)).unwrap().id;
    let topics = vec![TopicReference::Id(id), TopicReference::Name("orders".to_owned())];
    let Answer::DeleteTopics(results) = cluster.run(Command::DeleteTopics { topics }).unwrap() else {
        panic!("another answer")
    };
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].2.as_ref().unwrap_err().code, ErrorCode::InvalidRequest);
    assert!(cluster.image.topic("orders").is_some());
}

fn alter(
    cluster: &mut Cluster,
    resource: ConfigResource,
    operations: &[(&str, AlterOperation)],
) -> Result<(), ApiError> {
    let operations = operations.iter().map(|(key, operation)| (key.to_string(), operation.clone())).collect();
    let resources = vec![ConfigAlteration { resource, operations }];
    match cluster.run(Command::IncrementalAlterConfigs { resources, validate_only: false }).unwrap() {
        Answer::AlterConfigs(mut results) => results.remove(0).1,
        other => panic!("{other:?}"),
    }
}

#[test]
fn configurations_are_set_appended_subtracted_and_deleted() {
    let mut cluster = Cluster::with_brokers(1);
    cluster.create(topic("orders", 1, 1)).unwrap();
    let orders = || ConfigResource::topic("orders");
    let text = |value: &str| value.to_owned();
    let set = AlterOperation::Set(text("7"));
    alter(
        &mut cluster,
        orders(),
        &[("retention.ms", set.clone()), ("cleanup.policy", AlterOperation::Append(text("compact")))],
    )
    .unwrap();
    let overrides = cluster.image.topic("orders").unwrap().overrides.clone();
    assert_eq!(overrides["cleanup.policy"], "delete,compact", "appended to the default");
    alter(
        &mut cluster,
        orders(),
        &[
            ("cleanup.policy", AlterOperation::Subtract(text("delete"))),
            ("retention.ms", AlterOperation::Delete),
        ],
    )
    .unwrap();
    let overrides = cluster.image.topic("orders").unwrap().overrides.clone();
    assert_eq!(overrides.iter().collect::<Vec<_>>(), [(&text("cleanup.policy"), &text("compact"))]);

    let refused = alter(&mut cluster, orders(), &[("retention.ms", AlterOperation::Append(text("1")))]);
    assert_eq!(
        refusal(refused),
        (
            ErrorCode::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.".to_owned()
        )
    );
    let refused = alter(&mut cluster, ConfigResource::topic("none"), &[("retention.ms", set.clone())]);
    assert_eq!(
        refusal(refused),
        (ErrorCode::UnknownTopicOrPartition, "The topic 'none' does not exist.".to_owned())
    );
    let refused = alter(&mut cluster, ConfigResource::broker(BrokerId(9)), &[("retention.ms", set)]);
    assert_eq!(refusal(refused).0, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn configurations_belong_to_resources_with_names_of_their_kind() {
    let mut cluster = Cluster::with_brokers(1);
    for (kind, name, sentence) in [
        (ResourceKind::Topic, "", "Default topic resources are not allowed."),
        (ResourceKind::Broker, "x", "Unable to parse broker name as a base 10 number."),
        (ResourceKind::Broker, "-1", "Invalid negative broker ID."),
        (ResourceKind::ClientMetrics, "", "Subscription name can't be empty"),
        (ResourceKind::Group, "", "Default group resources are not allowed."),
    ] {
        let resource = ConfigResource { kind, name: name.to_owned() };
        let refused = alter(&mut cluster, resource, &[]);
        assert_eq!(refusal(refused), (ErrorCode::InvalidRequest, sentence.to_owned()));
    }
}

#[test]
fn replacing_a_configuration_deletes_what_is_not_named() {
    let mut cluster = Cluster::with_brokers(1);
    let resource = ConfigResource::cluster_default();
    alter(&mut cluster, resource.clone(), &[("retention.ms", AlterOperation::Set("1".to_owned()))]).unwrap();
    let values = ConfigMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let resources = vec![ConfigReplacement { resource: resource.clone(), values: values.clone() }];
    cluster.run(Command::AlterConfigs { resources, validate_only: false }).unwrap();
    assert_eq!(**cluster.image.config(&resource).unwrap(), values);
}

#[test]
fn a_new_incarnation_begins_new_leader_epochs() {
    let mut cluster = Cluster::with_brokers(1);
    cluster.create(topic("orders", 2, 1)).unwrap();
    let same = cluster.run(registration(1)).unwrap();
    assert_eq!(
        same,
        Answer::RegisterBroker { broker_epoch: Offset(0) },
        "the same incarnation keeps its epoch"
    );
    assert_eq!(cluster.image.topic("orders").unwrap().partitions[1].leader_epoch, LeaderEpoch(0));
    let Command::RegisterBroker(mut again) = registration(1) else { unreachable!() };
    again.incarnation_id = Uuid::from_u128(1);
    let answer = cluster.run(Command::RegisterBroker(again)).unwrap();
    assert_eq!(answer, Answer::RegisterBroker { broker_epoch: Offset(3) });
    let partition = cluster.image.partition("orders", PartitionIndex(1)).unwrap();
    assert_eq!(
        (partition.leader, partition.leader_epoch, partition.partition_epoch),
        (BrokerId(1), LeaderEpoch(1), 1)
    );
}

#[test]
fn registrations_that_would_confuse_are_refused() {
    let mut cluster = Cluster::with_brokers(2);
    let with = |change: &dyn Fn(&mut RegisterBroker)| {
        let Command::RegisterBroker(mut command) = registration(1) else { unreachable!() };
        change(&mut command);
        Command::RegisterBroker(command)
    };
    let mut code = |command| refusal(cluster.run(command)).0;
    assert_eq!(
        code(with(&|command| command.cluster_id = "other".to_owned())),
        ErrorCode::InconsistentClusterId
    );
    assert_eq!(code(with(&|command| command.directories.clear())), ErrorCode::InvalidRegistration);
    assert_eq!(code(with(&|command| command.directories[0] = Uuid::nil())), ErrorCode::InvalidRegistration);
    assert_eq!(
        code(with(&|command| command.directories[0] = command.directories[1])),
        ErrorCode::InvalidRegistration
    );
    assert_eq!(
        code(with(&|command| command.directories[0] = Uuid::from_u128(1002))),
        ErrorCode::InvalidRegistration,
        "a directory of broker 2"
    );
}

#[test]
fn producer_ids_come_in_blocks_that_are_never_given_twice() {
    let mut cluster = Cluster::with_brokers(1);
    let command = Command::AllocateProducerIds { broker_id: BrokerId(1), broker_epoch: Offset(0) };
    let block = |first| Answer::AllocateProducerIds { first: ProducerId(first), count: 1000 };
    assert_eq!(cluster.run(command.clone()), Ok(block(0)));
    assert_eq!(cluster.run(command), Ok(block(1000)));
    let stale = Command::AllocateProducerIds { broker_id: BrokerId(1), broker_epoch: Offset(7) };
    assert_eq!(
        refusal(cluster.run(stale)),
        (ErrorCode::StaleBrokerEpoch, "Expected broker epoch 0, but got broker epoch 7".to_owned())
    );
}

#[test]
fn a_feature_goes_up_within_what_brokers_support_and_down_only_when_allowed() {
    let mut cluster = Cluster::empty();
    let Command::RegisterBroker(mut broker) = registration(1) else { unreachable!() };
    broker.features = vec![SupportedFeature { name: "group.version".to_owned(), min_level: 0, max_level: 1 }];
    cluster.run(Command::RegisterBroker(broker)).unwrap();
    let mut update = |level, upgrade_type| {
        let updates = vec![FeatureUpdate { name: "group.version".to_owned(), level, upgrade_type }];
        cluster.run(Command::UpdateFeatures { updates, validate_only: false })
    };
    assert_eq!(refusal(update(2, UpgradeType::Upgrade)).0, ErrorCode::InvalidUpdateVersion);
    assert_eq!(update(1, UpgradeType::Upgrade), Ok(Answer::UpdateFeatures));
    assert_eq!(refusal(update(0, UpgradeType::Upgrade)).0, ErrorCode::InvalidUpdateVersion);
    assert_eq!(refusal(update(0, UpgradeType::Unknown)).0, ErrorCode::InvalidUpdateVersion);
    assert_eq!(update(0, UpgradeType::SafeDowngrade), Ok(Answer::UpdateFeatures));
    assert_eq!(refusal(update(1, UpgradeType::UnsafeDowngrade)).0, ErrorCode::InvalidUpdateVersion);
    assert!(cluster.image.features.is_empty());
}

#[test]
fn a_feature_goes_no_higher_than_this_node_supports_while_no_broker_is_registered() {
    let mut cluster = Cluster::empty();
    let mut update = |level| {
        let (name, upgrade_type) = ("group.version".to_owned(), UpgradeType::Upgrade);
        let updates = vec![FeatureUpdate { name, level, upgrade_type }];
        cluster.run(Command::UpdateFeatures { updates, validate_only: false })
    };
    let (code, message) = refusal(update(30_000));
    assert_eq!(code, ErrorCode::InvalidUpdateVersion);
    assert!(message.contains("Local controller"), "{message}");
    assert_eq!(update(1), Ok(Answer::UpdateFeatures));
}

/// A cluster in which a bit of everything has happened.
fn lived_in() -> Cluster {
    let mut cluster = Cluster::with_brokers(3);
    cluster.create(topic("orders", 5, 2)).unwrap();
    cluster.create(topic("a.b", 1, 1)).unwrap();
    cluster.create(topic("gone", 3, 3)).unwrap();
    cluster.run(Command::DeleteTopics { topics: vec![TopicReference::Name("gone".to_owned())] }).unwrap();
    let set = AlterOperation::Set("5".to_owned());
    alter(&mut cluster, ConfigResource::topic("orders"), &[("retention.ms", set.clone())]).unwrap();
    alter(&mut cluster, ConfigResource::cluster_default(), &[("retention.ms", set)]).unwrap();
    cluster.run(Command::AllocateProducerIds { broker_id: BrokerId(2), broker_epoch: Offset(1) }).unwrap();
    let alterations = vec![security::quotas(
        &[("user", None)],
        &[("producer_byte_rate", Some(5.0)), ("request_percentage", Some(0.1))],
    )];
    cluster.run(Command::AlterClientQuotas { alterations, validate_only: false }).unwrap();
    let upsertions = vec![security::upsertion("alice", 2, 8192)];
    cluster.run(Command::AlterUserScramCredentials { deletions: Vec::new(), upsertions }).unwrap();
    cluster
}

#[test]
fn the_same_commands_and_seeds_make_the_same_records() {
    assert_eq!(lived_in().log, lived_in().log);
}

#[test]
fn an_image_comes_back_from_its_snapshot() {
    let cluster = lived_in();
    let mut bytes = Vec::new();
    for record in snapshot_records(&cluster.image) {
        record.encode(&mut bytes);
    }
    let mut restored = ClusterImage::new("cluster".into());
    let mut reader = Reader::new(&bytes);
    while reader.remaining() > 0 {
        let record = MetadataRecord::decode(&mut reader).unwrap();
        restored.replay(&record, cluster.image.applied).unwrap();
    }
    assert_eq!(restored, cluster.image);
}

#[test]
fn a_clone_keeps_what_the_original_had() {
    let mut cluster = lived_in();
    let before = cluster.image.clone();
    let copy = before.clone();
    cluster.create(topic("later", 1, 1)).unwrap();
    assert_eq!(before, copy);
    let shared =
        |name: &str| std::sync::Arc::ptr_eq(before.topic(name).unwrap(), cluster.image.topic(name).unwrap());
    assert!(shared("orders") && shared("a.b"), "untouched topics are the same in both images");
}

#[test]
fn records_that_do_not_fit_the_state_are_errors() {
    let mut image = ClusterImage::new("cluster".into());
    let unknown = TopicId(Uuid::from_u128(4));
    let change = PartitionChangeRecord::new(unknown, PartitionIndex(0));
    for record in [
        MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: unknown }),
        MetadataRecord::PartitionChange(change),
    ] {
        assert!(image.replay(&record, Offset(0)).is_err());
    }
}
