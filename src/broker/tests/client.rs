//! A blocking client that sends one request at a time, well-formed through the codec crate or raw.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, ListOffsetsRequest, MetadataRequest, ProduceRequest,
    RequestHeader, ResponseHeader, TopicName, create_topics_request, fetch_request, list_offsets_request,
    metadata_request, produce_request,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::protocol::ids::{Timestamp, Uuid};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};

pub struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

/// Of the first record of a batch; those behind it are a millisecond apart.
pub const FIRST_TIMESTAMP: Timestamp = Timestamp(1_700_000_000_000);

pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// An uncompressed batch with these values, the first record at `first`.
pub fn batch_with(header: BatchHeader, first: Timestamp, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(header);
    for (index, value) in values.iter().enumerate() {
        builder.push(&NewRecord {
            timestamp: Timestamp(first.0 + index as i64),
            key: None,
            value: Some(value.as_bytes()),
            headers: &[],
        });
    }
    builder.build()
}

pub fn batch(values: &[&str]) -> Vec<u8> {
    batch_with(BatchHeader::default(), FIRST_TIMESTAMP, values)
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, correlation_id: 0 }
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        // The broker may have closed already; reading tells.
        let _ = self.stream.write_all(bytes);
    }

    /// The next response without its length; `None` when the broker has closed the connection.
    pub fn read_frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        Some(frame.into())
    }

    /// The frame of a request, length included.
    pub fn frame<Q: Request>(&mut self, version: i16, request: &Q) -> BytesMut {
        self.frame_as(version, version, request)
    }

    /// As [`Client::frame`], in the bytes of another version: the codec crate lacks some of the newest.
    pub fn frame_as<Q: Request>(&mut self, version: i16, codec_version: i16, request: &Q) -> BytesMut {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut body = BytesMut::new();
        header.encode(&mut body, Q::header_version(version)).unwrap();
        request.encode(&mut body, codec_version).unwrap();
        let mut frame = BytesMut::new();
        frame.put_i32(body.len() as i32);
        frame.put_slice(&body);
        frame
    }

    /// Sends a body of a version that the codec crate lacks, without tagged fields.
    pub fn send_body(&mut self, api_key: i16, version: i16, body: &[u8]) {
        self.correlation_id += 1;
        let mut frame = BytesMut::new();
        frame.put_i32(14 + body.len() as i32);
        frame.put_i16(api_key);
        frame.put_i16(version);
        frame.put_i32(self.correlation_id);
        frame.put_slice(b"\0\x04test");
        frame.put_slice(body);
        self.send_raw(&frame);
    }

    /// The body of the answer to [`Client::send_body`].
    pub fn receive_body(&mut self) -> Option<Bytes> {
        let mut frame = self.read_frame()?;
        assert_eq!(frame.get_i32(), self.correlation_id);
        Some(frame)
    }

    pub fn send<Q: Request>(&mut self, version: i16, request: &Q) {
        let frame = self.frame(version, request);
        self.send_raw(&frame);
    }

    pub fn receive<Q: Request>(&mut self, version: i16) -> Option<Q::Response> {
        self.receive_as::<Q>(version, self.correlation_id)
    }

    /// The response to the request sent `count` requests before the last one.
    pub fn receive_earlier<Q: Request>(&mut self, version: i16, count: i32) -> Q::Response {
        self.receive_as::<Q>(version, self.correlation_id - count).expect("the broker answers")
    }

    fn receive_as<Q: Request>(&mut self, version: i16, correlation_id: i32) -> Option<Q::Response> {
        let mut frame = self.read_frame()?;
        let header = ResponseHeader::decode(&mut frame, Q::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, correlation_id);
        let response = Q::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "the response has bytes behind its end");
        Some(response)
    }

    pub fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Q::Response {
        self.send(version, request);
        self.receive::<Q>(version).expect("the broker answers")
    }

    /// Creates a topic and returns its id.
    pub fn create_topic(&mut self, name: &str, partition_count: i32, configs: &[(&str, &str)]) -> Uuid {
        let configs = configs.iter().map(|(key, value)| {
            create_topics_request::CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(key.to_string()))
                .with_value(Some(StrBytes::from_string(value.to_string())))
        });
        let topic = create_topics_request::CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partition_count)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000);
        let created = self.call(7, &request).topics.remove(0);
        assert_eq!(created.error_code, 0, "{:?}", created.error_message);
        created.topic_id
    }

    pub fn topic_id(&mut self, name: &str) -> Uuid {
        let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        self.call(12, &request).topics[0].topic_id
    }

    /// Error code and base offset of one batch sent to one partition.
    pub fn produce(
        &mut self,
        version: i16,
        topic: (&str, Uuid),
        partition: i32,
        records: Vec<u8>,
    ) -> (i16, i64) {
        let request = produce(version, topic, partition, records, -1);
        let response = self.call(version, &request);
        let answer = &response.responses[0].partition_responses[0];
        (answer.error_code, answer.base_offset)
    }

    pub fn fetch(&mut self, version: i16, topic: (&str, Uuid), partition: i32, offset: i64) -> FetchResponse {
        self.call(version, &fetch(version, topic, &[(partition, offset)], 0))
    }

    /// Offset and timestamp that ListOffsets finds.
    pub fn list_offset(&mut self, topic: &str, partition: i32, timestamp: i64) -> (i64, i64) {
        let partition = list_offsets_request::ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let answer = self.call(7, &request).topics.remove(0).partitions.remove(0);
        assert_eq!(answer.error_code, 0);
        (answer.offset, answer.timestamp)
    }
}

pub fn produce(
    version: i16,
    (name, id): (&str, Uuid),
    partition: i32,
    records: Vec<u8>,
    acks: i16,
) -> ProduceRequest {
    let partition = produce_request::PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records.into()));
    let mut topic = produce_request::TopicProduceData::default().with_partition_data(vec![partition]);
    if version >= 13 {
        topic.topic_id = id;
    } else {
        topic.name = topic_name(name);
    }
    ProduceRequest::default().with_acks(acks).with_timeout_ms(5000).with_topic_data(vec![topic])
}

/// A fetch of whole partitions, each from its offset.
pub fn fetch(
    version: i16,
    (name, id): (&str, Uuid),
    partitions: &[(i32, i64)],
    max_wait_ms: i32,
) -> FetchRequest {
    let partitions = partitions.iter().map(|(partition, offset)| {
        fetch_request::FetchPartition::default()
            .with_partition(*partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(*offset)
            .with_last_fetched_epoch(-1)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(1 << 20)
    });
    let mut topic = fetch_request::FetchTopic::default().with_partitions(partitions.collect());
    if version >= 13 {
        topic.topic_id = id;
    } else {
        topic.topic = topic_name(name);
    }
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The values of all records in a fetch answer, with their offsets.
pub fn values(response: &FetchResponse) -> Vec<(i64, String)> {
    use crate::protocol::batch::Batch;
    use crate::protocol::records::RecordIter;
    let mut found = Vec::new();
    for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
        let Some(records) = &partition.records else { continue };
        let mut rest: &[u8] = records;
        while let Ok((batch, after)) = Batch::split_first(rest) {
            assert!(batch.crc_matches());
            for record in RecordIter::of(batch) {
                let record = record.unwrap();
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                found.push((batch.base_offset().0 + i64::from(record.offset_delta), value));
            }
            rest = after;
        }
    }
    found
}
