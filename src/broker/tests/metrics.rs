//! `/metrics`, `/health` and `/ready` over HTTP: what is told is what clients did.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, metadata_request};

use super::Fixture;
use super::client::{Client, batch, fetch, produce, topic_name, values};
use super::message_sets;
use super::topics::delete;
use crate::broker::Broker;
use crate::broker::control::ControlRuntime;
use crate::broker::health::{HttpListener, Lifecycle, Phase};
use crate::protocol::ids::Uuid;
use crate::telemetry::metrics::Metrics;

fn start() -> Fixture {
    Fixture::start_with(&[("klamm.http.listener", "127.0.0.1:0")])
}

/// Status and body.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The samples of one look.
struct Scrape(String);

impl Scrape {
    fn of(fixture: &Fixture) -> Scrape {
        let (status, text) = get(fixture.broker.as_ref().unwrap().http_address().unwrap(), "/metrics");
        assert_eq!(status, 200);
        Scrape(text)
    }

    fn find(&self, series: &str) -> Option<f64> {
        self.0.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then(|| value.parse().unwrap())
        })
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_else(|| panic!("{series} is missing in\n{}", self.0))
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, usize)]) {
        for (series, value) in expected {
            assert_eq!(self.value(series), *value as f64, "{series}");
        }
    }
}

#[test]
fn traffic_sizes_and_offsets_are_what_clients_did() {
    let fixture = start();
    let mut client = fixture.client();
    // Every kind of character that a topic name may have.
    let id = client.create_topic("a.b_C-9", 2, &[]);
    let sent: Vec<Vec<u8>> = vec![batch(&["one", "two"]), batch(&["three"])];
    let size = sent.iter().map(Vec::len).sum();
    for records in sent {
        client.produce(9, ("a.b_C-9", id), 1, records);
    }
    let read = client.fetch(12, ("a.b_C-9", id), 1, 0);
    assert_eq!(values(&read).len(), 3);
    Scrape::of(&fixture).check(&[
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"a.b_C-9\"}", 3),
        ("kafka_server_brokertopicmetrics_bytesin_total{topic=\"a.b_C-9\"}", size),
        ("kafka_server_brokertopicmetrics_bytesout_total{topic=\"a.b_C-9\"}", size),
        ("kafka_server_brokertopicmetrics_messagesin_total", 3),
        ("kafka_server_brokertopicmetrics_bytesin_total", size),
        ("kafka_server_brokertopicmetrics_bytesout_total", size),
        ("kafka_log_log_size{topic=\"a.b_C-9\",partition=\"1\"}", size),
        ("kafka_log_log_logendoffset{topic=\"a.b_C-9\",partition=\"1\"}", 3),
        ("kafka_log_log_logstartoffset{topic=\"a.b_C-9\",partition=\"1\"}", 0),
        ("kafka_log_log_numlogsegments{topic=\"a.b_C-9\",partition=\"1\"}", 1),
        ("kafka_log_log_size{topic=\"a.b_C-9\",partition=\"0\"}", 0),
        ("kafka_log_log_logendoffset{topic=\"a.b_C-9\",partition=\"0\"}", 0),
        ("kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"9\"}", 2),
        ("kafka_network_requestmetrics_total_time_seconds_count{request=\"Fetch\"}", 1),
        ("kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\"}", 1),
    ]);
}

#[test]
fn conversions_of_message_formats_are_counted() {
    let fixture = start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["new"]));
    let old = message_sets::set(&[message_sets::message(0, 0, "old"), message_sets::message(0, 1, "older")]);
    assert_eq!(message_sets::produce(&mut client, 1, &old), (0, 1));
    message_sets::fetch_from(&mut client, 1, &[0], 1 << 20);
    client.fetch(12, ("t", id), 0, 0);
    Scrape::of(&fixture).check(&[
        ("kafka_server_brokertopicmetrics_producemessageconversions_total{topic=\"t\"}", 2),
        ("kafka_server_brokertopicmetrics_fetchmessageconversions_total{topic=\"t\"}", 3),
        ("kafka_server_brokertopicmetrics_fetchmessageconversions_total", 3),
        ("kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"1\"}", 1),
    ]);
}

#[test]
fn groups_and_their_lag_are_told() {
    let fixture = Fixture::start_with(&[
        ("klamm.http.listener", "127.0.0.1:0"),
        ("offsets.topic.replication.factor", "1"),
    ]);
    let mut client = super::groups::client(&fixture);
    let id = client.create_topic("t", 2, &[]);
    client.produce(9, ("t", id), 0, batch(&["one", "two", "three"]));
    super::offsets::commit(&mut client, 9, "g", -1, &[("t", 0, 2, ""), ("t", 1, 7, "")]);
    super::offsets::commit(&mut client, 9, "h", -1, &[("t", 0, 0, "")]);
    Scrape::of(&fixture).check(&[
        ("kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\",partition=\"0\"}", 1),
        // Beyond the end.
        ("kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\",partition=\"1\"}", 0),
        ("kafka_consumergroup_lag{consumergroup=\"h\",topic=\"t\",partition=\"0\"}", 3),
        ("kafka_consumergroup_current_offset{consumergroup=\"g\",topic=\"t\",partition=\"1\"}", 7),
        ("kafka_consumergroup_members{consumergroup=\"g\"}", 0),
        ("kafka_server_group_coordinator_metrics_group_count{protocol=\"classic\"}", 2),
        ("kafka_server_group_coordinator_metrics_group_count{protocol=\"consumer\"}", 0),
        ("kafka_server_group_coordinator_metrics_offset_commit_count_total", 3),
        ("kafka_server_group_coordinator_metrics_offset_deletion_count_total", 0),
        ("kafka_server_group_coordinator_metrics_group_completed_rebalance_count_total", 0),
        ("kafka_coordinator_group_groupmetadatamanager_numgroupsempty", 2),
        ("kafka_coordinator_group_groupmetadatamanager_numgroupsstable", 0),
        ("klamm_consumergroup_cut", 0),
    ]);
}

#[test]
fn the_broker_and_its_cluster_are_counted() {
    let fixture = start();
    let mut client = fixture.client();
    client.create_topic("t", 3, &[]);
    client.create_topic("u", 4, &[]);
    let scrape = Scrape::of(&fixture);
    scrape.check(&[
        ("kafka_server_kafkaserver_brokerstate", 3),
        ("kafka_server_replicamanager_partitioncount", 7),
        ("kafka_server_replicamanager_leadercount", 7),
        ("kafka_server_replicamanager_offlinereplicacount", 0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0),
        ("kafka_controller_kafkacontroller_activecontrollercount", 1),
        ("kafka_controller_kafkacontroller_globaltopiccount", 2),
        ("kafka_controller_kafkacontroller_globalpartitioncount", 7),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 0),
        ("kafka_controller_kafkacontroller_activebrokercount", 1),
        ("kafka_controller_kafkacontroller_fencedbrokercount", 0),
        ("kafka_server_raftmetrics_current_leader", 1),
        ("kafka_server_fetchsessioncache_numincrementalfetchsessions", 0),
    ]);
    let applied = scrape.value("kafka_server_brokermetadatametrics_last_applied_record_offset");
    assert!(applied >= 2.0, "{applied}");
    assert!(scrape.value("kafka_server_raftmetrics_high_watermark") >= 1.0);
    assert!(scrape.value("kafka_server_raftmetrics_current_epoch") >= 1.0);
    for name in [
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_threads",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        assert!(scrape.value(name) > 0.0, "{name}");
    }
    assert!(scrape.find("process_cpu_seconds_total").is_some());
}

#[test]
fn every_family_stands_once_with_its_type() {
    let fixture = start();
    fixture.client().create_topic("t", 2, &[]);
    let text = Scrape::of(&fixture).0;
    let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let mut names: Vec<&str> = types.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a family stands twice in\n{text}");
    for line in types {
        let mut words = line.split(' ').skip(2);
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
    }
}

#[test]
fn a_fetch_session_is_counted() {
    let fixture = start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let request = fetch(12, ("t", id), &[(0, 0)], 0).with_session_epoch(0);
    assert!(client.call(12, &request).session_id > 0);
    Scrape::of(&fixture).check(&[("kafka_server_fetchsessioncache_numincrementalfetchsessions", 1)]);
}

#[test]
fn a_deleted_topic_vanishes_and_stays_in_the_total() {
    let fixture = start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["x", "y"]));
    delete(&mut client, "t");
    let scrape = Scrape::of(&fixture);
    assert!(!scrape.0.contains("topic=\"t\""), "{}", scrape.0);
    scrape.check(&[
        ("kafka_server_brokertopicmetrics_messagesin_total", 2),
        ("kafka_controller_kafkacontroller_globaltopiccount", 0),
    ]);
    // The same name again is another topic.
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["z"]));
    Scrape::of(&fixture).check(&[
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"}", 1),
        ("kafka_server_brokertopicmetrics_messagesin_total", 3),
    ]);
}

#[test]
fn a_repeated_batch_is_not_counted_again() {
    use crate::protocol::ids::{ProducerEpoch, ProducerId, Timestamp};
    use crate::protocol::records::BatchHeader;
    let fixture = start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let header = BatchHeader {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence: 0,
        ..BatchHeader::default()
    };
    for _ in 0..2 {
        let records = super::client::batch_with(header.clone(), Timestamp(0), &["x"]);
        assert_eq!(client.produce(9, ("t", id), 0, records), (0, 0));
    }
    Scrape::of(&fixture).check(&[("kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"}", 1)]);
}

fn describe(client: &mut Client, topic: &str) -> i16 {
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    client.call(12, &request).topics[0].error_code
}

#[test]
fn errors_are_counted_by_request_and_kafkas_name() {
    let fixture = start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let success = Scrape::of(&fixture);
    assert!(!success.0.contains("kafka_network_requestmetrics_errors_total{"), "{}", success.0);

    for version in [9, 9, 3] {
        client.produce(version, ("missing", id), 0, batch(&["x"]));
    }
    client.produce(13, ("t", Uuid::from_u128(99)), 0, batch(&["x"]));
    client.fetch(12, ("t", id), 0, 77);
    client.fetch(12, ("missing", id), 0, 0);
    let unknown_session = fetch(12, ("t", id), &[(0, 0)], 0).with_session_id(5).with_session_epoch(1);
    client.call(12, &unknown_session);
    describe(&mut client, "missing");
    client.call(3, &ApiVersionsRequest::default());
    let mut newer = client.frame(3, &ApiVersionsRequest::default());
    newer[6..8].copy_from_slice(&99_i16.to_be_bytes());
    client.send_raw(&newer);
    client.read_frame().unwrap();
    // Without acks there is no answer to carry the error, but the connection's end.
    let mut silent = fixture.client();
    silent.send(9, &produce(9, ("missing", id), 0, batch(&["x"]), 0));
    assert!(silent.read_frame().is_none());

    let errors = [
        ("Produce", "UNKNOWN_TOPIC_OR_PARTITION", 4),
        ("Produce", "UNKNOWN_TOPIC_ID", 1),
        ("Fetch", "OFFSET_OUT_OF_RANGE", 1),
        ("Fetch", "UNKNOWN_TOPIC_OR_PARTITION", 1),
        ("Fetch", "FETCH_SESSION_ID_NOT_FOUND", 1),
        ("Metadata", "UNKNOWN_TOPIC_OR_PARTITION", 1),
        ("ApiVersions", "INVALID_REQUEST", 1),
        ("ApiVersions", "UNSUPPORTED_VERSION", 1),
    ];
    let scrape = Scrape::of(&fixture);
    for (request, error, count) in errors {
        let labels = format!("{{request=\"{request}\",error=\"{error}\"}}");
        scrape.check(&[(&format!("kafka_network_requestmetrics_errors_total{labels}"), count)]);
    }
}

#[test]
fn ready_follows_the_broker() {
    let control = ControlRuntime::start().unwrap();
    let http = HttpListener::bind("127.0.0.1:0").unwrap();
    let (address, lifecycle) = (http.address, Lifecycle::begin());
    let metrics = Arc::<Metrics>::default();
    http.serve(&control, metrics, lifecycle.clone());
    for (phase, status, body) in [
        (Phase::Recovery, 503, "the broker is starting\n"),
        (Phase::Running, 200, "ok\n"),
        (Phase::ShuttingDown, 503, "the broker is stopping\n"),
    ] {
        lifecycle.enter(phase);
        assert_eq!(get(address, "/ready"), (status, body.to_owned()));
        assert_eq!(get(address, "/health"), (200, "ok\n".to_owned()));
        assert_eq!(get(address, "/metrics").0, 200);
    }
    control.stop();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_started_broker_is_ready_and_a_stopped_one_is_gone() {
    let mut fixture = start();
    let broker = fixture.broker.take().unwrap();
    let address = broker.http_address().unwrap();
    assert_eq!(get(address, "/ready").0, 200);
    assert_eq!(get(address, "/health").0, 200);
    broker.stop().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn nothing_listens_unless_asked_to() {
    let fixture = Fixture::start();
    assert_eq!(fixture.broker.as_ref().unwrap().http_address(), None);
}

#[test]
fn a_port_in_use_ends_the_start_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut fixture = Fixture::start();
    fixture.broker.take().unwrap().stop().unwrap();
    fixture.overrides.push(("klamm.http.listener".to_owned(), address.clone()));
    let Err(error) = Broker::start(fixture.settings()) else { panic!("two listen on {address}") };
    let line = format!("{error:#}");
    assert!(line.starts_with("klamm.http.listener: cannot listen on"), "{line}");
    assert!(line.contains(&address) && !line.contains('\n'), "{line}");
}
