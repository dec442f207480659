//! Transactional ids over the socket: from InitProducerId to EndTxn in old versions and in the newest, who is fenced, what
//! tools see, and what a restart leaves.

use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
    FindCoordinatorRequest, InitProducerIdRequest, ListTransactionsRequest, TransactionalId,
    add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction},
    describe_transactions_response::TransactionState,
};

use super::Fixture;
use super::client::{self, Client, batch_with, topic_name};
use super::transactions::{READ_COMMITTED, shown};
use crate::env::clock::Clock;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{ProducerEpoch, ProducerId, Uuid};
use crate::protocol::records::BatchHeader;

const NONE: i16 = 0;
const FENCED: i16 = ErrorCode::ProducerFenced as i16;
const OLD_FENCED: i16 = ErrorCode::InvalidProducerEpoch as i16;
/// EndTxn of producers that get an epoch for each transaction.
const NEWEST: i16 = 5;
const ADD_OF_CLIENTS: i16 = 3;
/// A Produce that adds its partitions, and one that does not.
const PRODUCE_ADDS: i16 = 13;
const PRODUCE_VERIFIES: i16 = 9;

type Topic<'a> = (&'a str, Uuid);

fn fixture() -> Fixture {
    Fixture::start_with(&[
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "2"),
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "2"),
    ])
}

fn id(transactional_id: &str) -> TransactionalId {
    TransactionalId(transactional_id.to_owned().into())
}

fn code(code: ErrorCode) -> i16 {
    code.code()
}

/// Asks again while the coordinator is loading, or busy with what came before.
fn until_ready<T>(mut ask: impl FnMut() -> (i16, T)) -> (i16, T) {
    let busy = [ErrorCode::ConcurrentTransactions, ErrorCode::CoordinatorLoadInProgress].map(code);
    loop {
        let (code, answer) = ask();
        if !busy.contains(&code) {
            return (code, answer);
        }
    }
}

/// A client whose transactional id has a coordinator.
fn connect(fixture: &Fixture, transactional_id: &'static str) -> Client {
    let mut client = fixture.client();
    let request = FindCoordinatorRequest::default()
        .with_key_type(1)
        .with_coordinator_keys(vec![transactional_id.into()]);
    let found = client.call(4, &request).coordinators.remove(0);
    assert_eq!((found.error_code, found.node_id.0), (NONE, 1));
    client
}

fn describe(client: &mut Client, transactional_id: &str) -> TransactionState {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(transactional_id)]);
    let described = until_ready(|| {
        let described = client.call(0, &request).transaction_states.remove(0);
        (described.error_code, described)
    });
    described.1
}

/// One producer on its own connection, as it knows itself.
struct Producer {
    client: Client,
    name: &'static str,
    id: i64,
    epoch: i16,
    sequence: i32,
}

impl Producer {
    fn new(fixture: &Fixture, name: &'static str) -> Producer {
        Producer { client: connect(fixture, name), name, id: -1, epoch: -1, sequence: 0 }
    }

    /// A producer of the newest version that has its epoch.
    fn ready(fixture: &Fixture, name: &'static str) -> Producer {
        let mut producer = Producer::new(fixture, name);
        assert_eq!(producer.init(NEWEST), NONE);
        producer
    }

    fn init(&mut self, version: i16) -> i16 {
        self.init_as(version, (-1, -1))
    }

    fn init_as(&mut self, version: i16, (id_before, epoch_before): (i64, i16)) -> i16 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id(self.name)))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(id_before.into())
            .with_producer_epoch(epoch_before);
        let (code, answer) = until_ready(|| {
            let answer = self.client.call(version, &request);
            (answer.error_code, answer)
        });
        if code == NONE {
            self.take(answer.producer_id.0, answer.producer_epoch);
        } else {
            assert_eq!((answer.producer_id.0, answer.producer_epoch), (-1, -1));
        }
        code
    }

    /// Each epoch counts its batches from 0.
    fn take(&mut self, id: i64, epoch: i16) {
        if (id, epoch) != (self.id, self.epoch) {
            (self.id, self.epoch, self.sequence) = (id, epoch, 0);
        }
    }

    fn add_partition(&mut self, version: i16) -> i16 {
        self.add_partitions(version, &[("t", 0)]).remove(0)
    }

    /// As a client asks. A code for each partition.
    fn add_partitions(&mut self, version: i16, partitions: &[(&str, i32)]) -> Vec<i16> {
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(self.name))
            .with_v3_and_below_producer_id(self.id.into())
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(topics(partitions));
        let added = until_ready(|| {
            let answer = self.client.call(version, &request);
            let topics = answer.results_by_topic_v3_and_below.iter();
            let results = topics.flat_map(|topic| &topic.results_by_partition);
            let codes: Vec<i16> = results.map(|result| result.partition_error_code).collect();
            (codes[0], codes)
        });
        added.1
    }

    /// As a broker asks, in the newest version.
    fn verify(&mut self, partitions: &[(&str, i32)]) -> Vec<i16> {
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(id(self.name))
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_verify_only(true)
            .with_topics(topics(partitions));
        let request = AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]);
        let answer = self.client.call(5, &request);
        assert_eq!((answer.error_code, answer.results_by_transaction.len()), (NONE, 1));
        let topics = answer.results_by_transaction[0].topic_results.iter();
        topics
            .flat_map(|topic| &topic.results_by_partition)
            .map(|result| result.partition_error_code)
            .collect()
    }

    fn add_offsets(&mut self, version: i16) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id(self.name))
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_group_id(kafka_protocol::messages::GroupId("g".into()));
        until_ready(|| (self.client.call(version, &request).error_code, ())).0
    }

    fn produce(&mut self, version: i16, topic: Topic, value: &str) -> i16 {
        let header = BatchHeader {
            transactional: true,
            producer_id: ProducerId(self.id),
            producer_epoch: ProducerEpoch(self.epoch),
            base_sequence: self.sequence,
            ..BatchHeader::default()
        };
        let records = batch_with(header, Clock::system().now(), &[value]);
        let request =
            client::produce(version, topic, 0, records, -1).with_transactional_id(Some(id(self.name)));
        let code = self.client.call(version, &request).responses[0].partition_responses[0].error_code;
        self.sequence += i32::from(code == NONE);
        code
    }

    /// Ends the transaction, without waiting for its markers.
    fn end(&mut self, version: i16, is_commit: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(id(self.name))
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_committed(is_commit);
        let (code, answer) = until_ready(|| {
            let answer = self.client.call(version, &request);
            (answer.error_code, answer)
        });
        if code == NONE && version >= NEWEST {
            self.take(answer.producer_id.0, answer.producer_epoch);
        }
        code
    }

    fn state(&mut self) -> String {
        describe(&mut self.client, self.name).transaction_state.to_string()
    }

    /// Until the markers are written.
    fn completed(&mut self) -> String {
        loop {
            let state = self.state();
            if !state.starts_with("Prepare") {
                return state;
            }
        }
    }

    fn committed(&mut self, topic: Topic) -> Vec<String> {
        shown(&mut self.client, 13, topic, READ_COMMITTED).2
    }
}

fn topics(partitions: &[(&str, i32)]) -> Vec<AddPartitionsToTxnTopic> {
    let topic = |(name, index): &(&str, i32)| {
        AddPartitionsToTxnTopic::default().with_name(topic_name(name)).with_partitions(vec![*index])
    };
    partitions.iter().map(topic).collect()
}

#[test]
fn transactions_are_committed_and_aborted_in_every_version() {
    let fixture = fixture();
    let topic = ("t", fixture.client().create_topic("t", 1, &[]));
    let mut producer = Producer::new(&fixture, "x");
    let mut committed = Vec::new();
    for version in 0..=NEWEST {
        assert_eq!(producer.init(version), NONE, "v{version}");
        assert_eq!(producer.state(), "Empty");
        for (is_commit, ended) in [(true, "CompleteCommit"), (false, "CompleteAbort")] {
            let epoch = producer.epoch;
            let value = format!("{is_commit} in v{version}");
            if version == NEWEST {
                assert_eq!(producer.produce(PRODUCE_ADDS, topic, &value), NONE);
            } else {
                assert_eq!(producer.add_partition(version.min(ADD_OF_CLIENTS)), NONE, "v{version}");
                assert_eq!(producer.produce(PRODUCE_VERIFIES, topic, &value), NONE, "v{version}");
            }
            assert_eq!(producer.state(), "Ongoing");
            assert!(!producer.committed(topic).contains(&value), "nobody sees it yet");
            assert_eq!(producer.end(version, is_commit), NONE, "v{version}");
            assert_eq!(producer.completed(), ended);
            assert_eq!(producer.epoch - epoch, i16::from(version == NEWEST), "v{version}");
            if is_commit {
                committed.push(value);
            }
        }
    }
    assert_eq!(producer.committed(topic), committed);
}

#[test]
fn a_new_producer_fences_the_one_before_it_and_aborts_what_it_left() {
    let fixture = fixture();
    let topic = ("t", fixture.client().create_topic("t", 1, &[]));
    let mut old = Producer::ready(&fixture, "x");
    assert_eq!(old.produce(PRODUCE_ADDS, topic, "lost"), NONE);
    let mut new = Producer::ready(&fixture, "x");
    assert_eq!(new.id, old.id);
    assert!(new.epoch > old.epoch);
    assert_eq!(new.state(), "Empty");
    for (version, expected) in [(0, OLD_FENCED), (1, OLD_FENCED), (2, FENCED), (3, FENCED)] {
        assert_eq!(old.add_partition(version), expected, "v{version}");
        assert_eq!(old.add_offsets(version), expected, "v{version}");
        assert_eq!(old.end(version, true), expected, "v{version}");
    }
    assert_eq!(old.verify(&[("t", 0)]), [FENCED]);
    assert_eq!(old.end(NEWEST, true), FENCED);
    let believed = (old.id, old.epoch);
    assert_eq!([old.init_as(3, believed), old.init_as(4, believed)], [OLD_FENCED, FENCED]);
    assert_ne!(old.produce(PRODUCE_ADDS, topic, "late"), NONE);
    assert_eq!(new.produce(PRODUCE_ADDS, topic, "kept"), NONE);
    assert_eq!(new.end(NEWEST, true), NONE);
    assert_eq!(new.completed(), "CompleteCommit");
    assert_eq!(new.committed(topic), ["kept"]);
}

#[test]
fn a_producer_goes_on_in_its_next_epoch() {
    let fixture = fixture();
    let mut producer = Producer::ready(&fixture, "x");
    let before = (producer.id, producer.epoch);
    assert_eq!(producer.init_as(NEWEST, before), NONE);
    assert_eq!((producer.id, producer.epoch), (before.0, before.1 + 1));
    assert_eq!(producer.init_as(NEWEST, before), NONE, "it has not heard the answer");
    assert_eq!((producer.id, producer.epoch), (before.0, before.1 + 1));
    assert_eq!(producer.init_as(NEWEST, (before.0, -1)), code(ErrorCode::InvalidRequest));
}

#[test]
fn offsets_take_part_through_the_partition_of_their_group() {
    let fixture = fixture();
    let mut producer = Producer::new(&fixture, "x");
    for version in 0..=4 {
        assert_eq!(producer.init(4), NONE);
        assert_eq!(producer.add_offsets(version), NONE, "v{version}");
        let described = describe(&mut producer.client, "x");
        assert_eq!(&*described.transaction_state, "Ongoing");
        let topics: Vec<&str> = described.topics.iter().map(|topic| topic.topic.as_str()).collect();
        assert_eq!(topics, ["__consumer_offsets"]);
        assert_eq!(described.topics[0].partitions.len(), 1);
        assert_eq!(producer.end(4, version % 2 == 0), NONE);
        producer.completed();
    }
}

#[test]
fn what_cannot_take_part_keeps_all_others_out() {
    let fixture = fixture();
    fixture.client().create_topic("t", 1, &[]);
    let mut producer = Producer::ready(&fixture, "x");
    let [unknown, kept_out, forbidden] = [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::OperationNotAttempted,
        ErrorCode::TopicAuthorizationFailed,
    ]
    .map(code);
    for version in 0..=ADD_OF_CLIENTS {
        let codes = producer.add_partitions(version, &[("t", 0), ("t", 1), ("no", 0)]);
        assert_eq!(codes, [kept_out, unknown, unknown], "t is told first, and once");
        let codes = producer.add_partitions(version, &[("t", 0), ("__transaction_state", 0)]);
        assert_eq!(codes, [kept_out, forbidden]);
    }
    assert_eq!(producer.state(), "Empty");
    let abortable = code(ErrorCode::TransactionAbortable);
    assert_eq!(producer.verify(&[("t", 0)]), [abortable], "it was not added");
    assert_eq!(producer.add_partition(ADD_OF_CLIENTS), NONE);
    assert_eq!(producer.verify(&[("t", 0)]), [NONE]);
}

#[test]
fn an_id_that_nobody_has_is_refused() {
    let fixture = fixture();
    fixture.client().create_topic("t", 1, &[]);
    let mut producer = Producer::new(&fixture, "x");
    let unmapped = code(ErrorCode::InvalidProducerIdMapping);
    (producer.id, producer.epoch) = (7, 0);
    assert_eq!(producer.end(NEWEST, true), unmapped);
    assert_eq!([producer.add_partition(0), producer.add_offsets(0)], [unmapped; 2]);
    assert_eq!(describe(&mut producer.client, "x").error_code, code(ErrorCode::TransactionalIdNotFound));
    assert_eq!(describe(&mut producer.client, "").error_code, code(ErrorCode::InvalidRequest));
    producer.name = "";
    let invalid = code(ErrorCode::InvalidRequest);
    assert_eq!([producer.init(NEWEST), producer.end(NEWEST, true), producer.add_offsets(4)], [invalid; 3]);
    assert_eq!(producer.add_partition(ADD_OF_CLIENTS), invalid);
}

/// The ids that a request of this version finds, in alphabetical order.
fn list(client: &mut Client, version: i16, request: &ListTransactionsRequest) -> (i16, Vec<String>) {
    until_ready(|| {
        let answer = client.call(version, request);
        let ids = answer.transaction_states.iter().map(|state| state.transactional_id.to_string());
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        (answer.error_code, ids)
    })
}

#[test]
fn lists_are_filtered() {
    let fixture = fixture();
    let topic = ("t", fixture.client().create_topic("t", 1, &[]));
    let mut ongoing = Producer::ready(&fixture, "app-1");
    assert_eq!(ongoing.produce(PRODUCE_ADDS, topic, "a"), NONE);
    let empty = Producer::ready(&fixture, "app-2");
    Producer::ready(&fixture, "other");
    let mut client = fixture.client();
    let mut find = |version, request: ListTransactionsRequest| {
        let (code, ids) = list(&mut client, version, &request);
        assert_eq!(code, NONE, "v{version}");
        ids
    };
    for version in 0..=2 {
        assert_eq!(find(version, ListTransactionsRequest::default()), ["app-1", "app-2", "other"]);
        let of_state =
            ListTransactionsRequest::default().with_state_filters(vec!["Ongoing".into(), "no".into()]);
        assert_eq!(find(version, of_state), ["app-1"]);
        let of_producer = ListTransactionsRequest::default().with_producer_id_filters(vec![empty.id.into()]);
        assert_eq!(find(version, of_producer), ["app-2"]);
    }
    let long = ListTransactionsRequest::default().with_duration_filter(3_600_000);
    assert_eq!(find(1, long), ["app-2", "other"], "what has not begun has no beginning, as in Kafka");
    let matching = |pattern: &'static str| {
        ListTransactionsRequest::default().with_transactional_id_pattern(Some(pattern.into()))
    };
    assert_eq!(find(2, matching("app-.*")), ["app-1", "app-2"]);
    assert_eq!(find(2, matching("app")), [""; 0], "the whole id has to match");
    assert_eq!(find(2, matching("")), ["app-1", "app-2", "other"]);
    let refused = list(&mut client, 2, &matching("app-("));
    assert_eq!(refused, (code(ErrorCode::InvalidRegularExpression), vec![]));
}

#[test]
fn transactions_go_on_after_a_restart() {
    let mut fixture = fixture();
    let topic = ("t", fixture.client().create_topic("t", 1, &[]));
    let mut producer = Producer::ready(&fixture, "x");
    let mut committed = Vec::new();
    for (is_commit, ended) in [(true, "CompleteCommit"), (false, "CompleteAbort")] {
        let value = format!("commit: {is_commit}");
        assert_eq!(producer.produce(PRODUCE_ADDS, topic, &value), NONE);
        fixture.restart();
        producer.client = connect(&fixture, "x");
        assert_eq!(producer.state(), "Ongoing");
        assert_eq!(producer.produce(PRODUCE_ADDS, topic, &format!("{value}, too")), NONE);
        assert_eq!(producer.end(NEWEST, is_commit), NONE);
        // Whether or not the markers are written: they are when it is up again.
        fixture.restart();
        producer.client = connect(&fixture, "x");
        assert_eq!(producer.completed(), ended);
        if is_commit {
            committed.extend([value.clone(), format!("{value}, too")]);
        }
        assert_eq!(producer.committed(topic), committed);
    }
    let before = (producer.id, producer.epoch);
    assert_eq!(producer.init(NEWEST), NONE);
    fixture.restart();
    producer.client = connect(&fixture, "x");
    assert_eq!(producer.state(), "Empty");
    assert_eq!((producer.id, producer.epoch), (before.0, before.1 + 1));
    assert_eq!(producer.produce(PRODUCE_ADDS, topic, "after"), NONE);
}
