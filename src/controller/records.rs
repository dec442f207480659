//! Metadata records: every change of the cluster's state, as Kafka names, numbers and lays them out
//! (`metadata/src/main/resources/common/metadata/*.json`).
//!
//! Pure. A record holds the result of a decision (ids, placements, final values), never its input, so that
//! each node that replays it comes to the same image.

use crate::controller::codec::{Malformed, Reader, TaggedFields, Write};
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, Uuid};
use crate::security::entity::{QuotaEntity, QuotaValue};
use crate::security::scram::{ScramCredential, ScramMechanism};

/// One change of the cluster's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataRecord {
    RegisterBroker(RegisterBrokerRecord),
    UnregisterBroker(UnregisterBrokerRecord),
    Topic(TopicRecord),
    Partition(PartitionRecord),
    Config(ConfigRecord),
    PartitionChange(PartitionChangeRecord),
    RemoveTopic(RemoveTopicRecord),
    UserScramCredential(UserScramCredentialRecord),
    FeatureLevel(FeatureLevelRecord),
    ClientQuota(ClientQuotaRecord),
    ProducerIds(ProducerIdsRecord),
    BrokerRegistrationChange(BrokerRegistrationChangeRecord),
    NoOp,
    RemoveUserScramCredential(RemoveUserScramCredentialRecord),
}

/// A listener that a broker announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of a feature that a broker can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: String,
    pub min_level: i16,
    pub max_level: i16,
}

/// A broker came up, or changed what it announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    pub broker_id: BrokerId,
    pub incarnation_id: Uuid,
    /// Offset of the record that registered this incarnation.
    pub broker_epoch: Offset,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub directories: Vec<Uuid>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnregisterBrokerRecord {
    pub broker_id: BrokerId,
    pub broker_epoch: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    pub name: String,
    pub topic_id: TopicId,
}

/// The whole state of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    pub partition: PartitionIndex,
    pub topic_id: TopicId,
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    pub removing_replicas: Vec<BrokerId>,
    pub adding_replicas: Vec<BrokerId>,
    pub leader: BrokerId,
    /// 0 recovered, 1 recovering after an unclean election.
    pub leader_recovery_state: i8,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    /// The log directory of each replica, in the order of `replicas` (KIP-858).
    pub directories: Vec<Uuid>,
    /// KIP-966.
    pub elr: Vec<BrokerId>,
    pub last_known_elr: Vec<BrokerId>,
}

/// A value was set, or with `None` taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// `ConfigResource.Type`: 2 topic, 4 broker, 16 client metrics, 32 group.
    pub resource_type: i8,
    pub resource_name: String,
    pub name: String,
    pub value: Option<String>,
}

/// What changed in one partition; `None` leaves a field as it is. A leader that is named, even the same one,
/// begins a new leader epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    pub partition: PartitionIndex,
    pub topic_id: TopicId,
    pub isr: Option<Vec<BrokerId>>,
    pub leader: Option<BrokerId>,
    pub replicas: Option<Vec<BrokerId>>,
    pub removing_replicas: Option<Vec<BrokerId>>,
    pub adding_replicas: Option<Vec<BrokerId>>,
    pub leader_recovery_state: Option<i8>,
    pub elr: Option<Vec<BrokerId>>,
    pub last_known_elr: Option<Vec<BrokerId>>,
    pub directories: Option<Vec<Uuid>>,
}

impl PartitionChangeRecord {
    /// A change of nothing.
    pub fn new(topic_id: TopicId, partition: PartitionIndex) -> PartitionChangeRecord {
        PartitionChangeRecord {
            partition,
            topic_id,
            isr: None,
            leader: None,
            replicas: None,
            removing_replicas: None,
            adding_replicas: None,
            leader_recovery_state: None,
            elr: None,
            last_known_elr: None,
            directories: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveTopicRecord {
    pub topic_id: TopicId,
}

/// A user can prove who it is by this credential, in place of one it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserScramCredentialRecord {
    pub name: String,
    pub mechanism: ScramMechanism,
    pub credential: ScramCredential,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveUserScramCredentialRecord {
    pub name: String,
    pub mechanism: ScramMechanism,
}

/// A quota was set, or with `None` taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientQuotaRecord {
    pub entity: QuotaEntity,
    pub key: String,
    pub value: Option<QuotaValue>,
}

/// A feature is finalized at a level; level 0 takes it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLevelRecord {
    pub name: String,
    pub level: i16,
}

/// A broker was given the producer ids below `next_producer_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    pub broker_id: BrokerId,
    pub broker_epoch: Offset,
    pub next_producer_id: ProducerId,
}

/// `None` leaves a field as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistrationChangeRecord {
    pub broker_id: BrokerId,
    pub broker_epoch: Offset,
    pub fenced: Option<bool>,
    pub in_controlled_shutdown: Option<bool>,
    pub directories: Option<Vec<Uuid>>,
}

/// Version of the frame around each record (`MetadataRecordSerde`).
const FRAME_VERSION: u32 = 1;
/// What "no leader change" is in a `PartitionChangeRecord`.
const NO_LEADER_CHANGE: i32 = -2;

impl MetadataRecord {
    /// Kafka's number of this record and the version that is written.
    pub fn key_and_version(&self) -> (u32, u32) {
        match self {
            MetadataRecord::RegisterBroker(_) => (0, 3),
            MetadataRecord::UnregisterBroker(_) => (1, 0),
            MetadataRecord::Topic(_) => (2, 0),
            MetadataRecord::Partition(_) => (3, 2),
            MetadataRecord::Config(_) => (4, 0),
            MetadataRecord::PartitionChange(_) => (5, 2),
            MetadataRecord::RemoveTopic(_) => (9, 0),
            MetadataRecord::UserScramCredential(_) => (11, 0),
            MetadataRecord::FeatureLevel(_) => (12, 0),
            MetadataRecord::ClientQuota(_) => (14, 0),
            MetadataRecord::ProducerIds(_) => (15, 0),
            MetadataRecord::BrokerRegistrationChange(_) => (17, 2),
            MetadataRecord::NoOp => (20, 0),
            MetadataRecord::RemoveUserScramCredential(_) => (22, 0),
        }
    }

    /// Appends the record with its frame: length, frame version, key, record version, body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut frame = Vec::with_capacity(96);
        let (key, version) = self.key_and_version();
        frame.put_uvarint(FRAME_VERSION);
        frame.put_uvarint(key);
        frame.put_uvarint(version);
        self.encode_body(&mut frame);
        out.put_uvarint(frame.len() as u32);
        out.put_bytes(&frame);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            MetadataRecord::RegisterBroker(record) => record.encode(out),
            MetadataRecord::UnregisterBroker(record) => {
                out.put_i32(record.broker_id.0);
                out.put_i64(record.broker_epoch.0);
                out.put_uvarint(0);
            }
            MetadataRecord::Topic(record) => {
                out.put_string(&record.name);
                out.put_uuid(record.topic_id.0);
                out.put_uvarint(0);
            }
            MetadataRecord::Partition(record) => record.encode(out),
            MetadataRecord::Config(record) => {
                out.put_i8(record.resource_type);
                out.put_string(&record.resource_name);
                out.put_string(&record.name);
                out.put_nullable_string(record.value.as_deref());
                out.put_uvarint(0);
            }
            MetadataRecord::PartitionChange(record) => record.encode(out),
            MetadataRecord::RemoveTopic(record) => {
                out.put_uuid(record.topic_id.0);
                out.put_uvarint(0);
            }
            MetadataRecord::UserScramCredential(record) => record.encode(out),
            MetadataRecord::ClientQuota(record) => record.encode(out),
            MetadataRecord::RemoveUserScramCredential(record) => {
                out.put_string(&record.name);
                out.put_i8(record.mechanism.code());
                out.put_uvarint(0);
            }
            MetadataRecord::FeatureLevel(record) => {
                out.put_string(&record.name);
                out.put_i16(record.level);
                out.put_uvarint(0);
            }
            MetadataRecord::ProducerIds(record) => {
                out.put_i32(record.broker_id.0);
                out.put_i64(record.broker_epoch.0);
                out.put_i64(record.next_producer_id.0);
                out.put_uvarint(0);
            }
            MetadataRecord::BrokerRegistrationChange(record) => record.encode(out),
            MetadataRecord::NoOp => out.put_uvarint(0),
        }
    }

    /// Reads one framed record.
    pub fn decode(reader: &mut Reader<'_>) -> Result<MetadataRecord, Malformed> {
        let size = reader.uvarint()? as usize;
        let mut frame = Reader::new(reader.bytes(size)?);
        let frame_version = frame.uvarint()?;
        if frame_version != FRAME_VERSION {
            return Err(Malformed::new(format!("frame version {frame_version}")));
        }
        let key = frame.uvarint()?;
        let version = frame.uvarint()?;
        let record = MetadataRecord::decode_body(key, version, &mut frame)?;
        if frame.remaining() != 0 {
            return Err(Malformed::new(format!("{} bytes after the record {key}", frame.remaining())));
        }
        Ok(record)
    }

    fn decode_body(key: u32, version: u32, body: &mut Reader<'_>) -> Result<MetadataRecord, Malformed> {
        let record = match (key, version) {
            (0, 0..=3) => {
                return RegisterBrokerRecord::decode(version, body).map(MetadataRecord::RegisterBroker);
            }
            (3, 0..=2) => return PartitionRecord::decode(version, body).map(MetadataRecord::Partition),
            (5, 0..=2) => return PartitionChangeRecord::decode(body).map(MetadataRecord::PartitionChange),
            (17, 0..=2) => {
                return BrokerRegistrationChangeRecord::decode(body)
                    .map(MetadataRecord::BrokerRegistrationChange);
            }
            (1, 0) => MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
                broker_id: BrokerId(body.i32()?),
                broker_epoch: Offset(body.i64()?),
            }),
            (2, 0) => {
                MetadataRecord::Topic(TopicRecord { name: body.string()?, topic_id: TopicId(body.uuid()?) })
            }
            (4, 0) => MetadataRecord::Config(ConfigRecord {
                resource_type: body.i8()?,
                resource_name: body.string()?,
                name: body.string()?,
                value: body.nullable_string()?,
            }),
            (9, 0) => MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: TopicId(body.uuid()?) }),
            (11, 0) => MetadataRecord::UserScramCredential(UserScramCredentialRecord::decode(body)?),
            (12, 0) => {
                MetadataRecord::FeatureLevel(FeatureLevelRecord { name: body.string()?, level: body.i16()? })
            }
            (14, 0) => MetadataRecord::ClientQuota(ClientQuotaRecord::decode(body)?),
            (15, 0) => MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id: BrokerId(body.i32()?),
                broker_epoch: Offset(body.i64()?),
                next_producer_id: ProducerId(body.i64()?),
            }),
            (20, 0) => MetadataRecord::NoOp,
            (22, 0) => MetadataRecord::RemoveUserScramCredential(RemoveUserScramCredentialRecord {
                name: body.string()?,
                mechanism: scram_mechanism(body)?,
            }),
            (key, version) => return Err(Malformed::new(format!("unknown record {key} version {version}"))),
        };
        body.no_tagged_fields()?;
        Ok(record)
    }
}

fn scram_mechanism(body: &mut Reader<'_>) -> Result<ScramMechanism, Malformed> {
    let code = body.i8()?;
    ScramMechanism::from_code(code).ok_or_else(|| Malformed::new(format!("SCRAM mechanism {code}")))
}

impl UserScramCredentialRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_string(&self.name);
        out.put_i8(self.mechanism.code());
        out.put_byte_field(&self.credential.salt);
        out.put_byte_field(&self.credential.stored_key);
        out.put_byte_field(&self.credential.server_key);
        out.put_i32(self.credential.iterations);
        out.put_uvarint(0);
    }

    /// Without the tagged fields.
    fn decode(body: &mut Reader<'_>) -> Result<UserScramCredentialRecord, Malformed> {
        Ok(UserScramCredentialRecord {
            name: body.string()?,
            mechanism: scram_mechanism(body)?,
            credential: ScramCredential {
                salt: body.byte_field()?,
                stored_key: body.byte_field()?,
                server_key: body.byte_field()?,
                iterations: body.i32()?,
            },
        })
    }
}

impl ClientQuotaRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_count(self.entity.0.len());
        for (entity_type, name) in &self.entity.0 {
            out.put_string(entity_type);
            out.put_nullable_string(name.as_deref());
            out.put_uvarint(0);
        }
        out.put_string(&self.key);
        out.put_f64(self.value.map_or(0.0, |value| value.0));
        out.put_bool(self.value.is_none());
        out.put_uvarint(0);
    }

    /// Without the tagged fields.
    fn decode(body: &mut Reader<'_>) -> Result<ClientQuotaRecord, Malformed> {
        let entity = body.list(3, |body| {
            let part = (body.string()?, body.nullable_string()?);
            body.no_tagged_fields()?;
            Ok(part)
        })?;
        let (key, value, removed) = (body.string()?, QuotaValue(body.f64()?), body.bool()?);
        Ok(ClientQuotaRecord { entity: QuotaEntity::new(entity), key, value: (!removed).then_some(value) })
    }
}

impl RegisterBrokerRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.broker_id.0);
        out.put_bool(false); // IsMigratingZkBroker
        out.put_uuid(self.incarnation_id);
        out.put_i64(self.broker_epoch.0);
        out.put_count(self.endpoints.len());
        for endpoint in &self.endpoints {
            out.put_string(&endpoint.name);
            out.put_string(&endpoint.host);
            out.put_u16(endpoint.port);
            out.put_i16(endpoint.security_protocol);
            out.put_uvarint(0);
        }
        out.put_count(self.features.len());
        for feature in &self.features {
            out.put_string(&feature.name);
            out.put_i16(feature.min_level);
            out.put_i16(feature.max_level);
            out.put_uvarint(0);
        }
        out.put_nullable_string(self.rack.as_deref());
        out.put_bool(self.fenced);
        out.put_bool(self.in_controlled_shutdown);
        let mut tagged = TaggedFields::default();
        tagged.put(0, non_empty(&self.directories), |out, uuids| out.put_uuids(uuids));
        tagged.write(out);
    }

    fn decode(version: u32, body: &mut Reader<'_>) -> Result<RegisterBrokerRecord, Malformed> {
        let broker_id = BrokerId(body.i32()?);
        if version >= 2 && body.bool()? {
            return Err(Malformed::new("a broker that migrates from ZooKeeper"));
        }
        let mut record = RegisterBrokerRecord {
            broker_id,
            incarnation_id: body.uuid()?,
            broker_epoch: Offset(body.i64()?),
            endpoints: body.list(7, |item| {
                let endpoint = Endpoint {
                    name: item.string()?,
                    host: item.string()?,
                    port: item.u16()?,
                    security_protocol: item.i16()?,
                };
                item.no_tagged_fields()?;
                Ok(endpoint)
            })?,
            features: body.list(6, |item| {
                let feature =
                    SupportedFeature { name: item.string()?, min_level: item.i16()?, max_level: item.i16()? };
                item.no_tagged_fields()?;
                Ok(feature)
            })?,
            rack: body.nullable_string()?,
            fenced: body.bool()?,
            in_controlled_shutdown: version >= 1 && body.bool()?,
            directories: Vec::new(),
        };
        body.tagged_fields(|tag, value| {
            if tag == 0 {
                record.directories = value.uuids()?;
            }
            Ok(tag == 0)
        })?;
        Ok(record)
    }
}

impl PartitionRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.partition.0);
        out.put_uuid(self.topic_id.0);
        out.put_broker_ids(&self.replicas);
        out.put_broker_ids(&self.isr);
        out.put_broker_ids(&self.removing_replicas);
        out.put_broker_ids(&self.adding_replicas);
        out.put_i32(self.leader.0);
        out.put_i32(self.leader_epoch.0);
        out.put_i32(self.partition_epoch);
        out.put_uuids(&self.directories);
        let mut tagged = TaggedFields::default();
        let recovery_state = (self.leader_recovery_state != 0).then_some(self.leader_recovery_state);
        tagged.put(0, recovery_state, |out, state| out.put_i8(state));
        tagged.put(1, non_empty(&self.elr), |out, ids| out.put_broker_ids(ids));
        tagged.put(2, non_empty(&self.last_known_elr), |out, ids| out.put_broker_ids(ids));
        tagged.write(out);
    }

    fn decode(version: u32, body: &mut Reader<'_>) -> Result<PartitionRecord, Malformed> {
        let mut record = PartitionRecord {
            partition: PartitionIndex(body.i32()?),
            topic_id: TopicId(body.uuid()?),
            replicas: body.broker_ids()?,
            isr: body.broker_ids()?,
            removing_replicas: body.broker_ids()?,
            adding_replicas: body.broker_ids()?,
            leader: BrokerId(body.i32()?),
            leader_recovery_state: 0,
            leader_epoch: LeaderEpoch(body.i32()?),
            partition_epoch: body.i32()?,
            directories: if version >= 1 { body.uuids()? } else { Vec::new() },
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        };
        body.tagged_fields(|tag, value| {
            match tag {
                0 => record.leader_recovery_state = value.i8()?,
                1 => record.elr = optional_broker_ids(value)?.unwrap_or_default(),
                2 => record.last_known_elr = optional_broker_ids(value)?.unwrap_or_default(),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(record)
    }
}

impl PartitionChangeRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.partition.0);
        out.put_uuid(self.topic_id.0);
        let put_ids = |out: &mut Vec<u8>, ids: &Vec<BrokerId>| out.put_broker_ids(ids);
        let mut tagged = TaggedFields::default();
        tagged.put(0, self.isr.as_ref(), put_ids);
        tagged.put(1, self.leader, |out, leader| out.put_i32(leader.0));
        tagged.put(2, self.replicas.as_ref(), put_ids);
        tagged.put(3, self.removing_replicas.as_ref(), put_ids);
        tagged.put(4, self.adding_replicas.as_ref(), put_ids);
        tagged.put(5, self.leader_recovery_state, |out, state| out.put_i8(state));
        tagged.put(6, self.elr.as_ref(), put_ids);
        tagged.put(7, self.last_known_elr.as_ref(), put_ids);
        tagged.put(8, self.directories.as_ref(), |out, uuids| out.put_uuids(uuids));
        tagged.write(out);
    }

    fn decode(body: &mut Reader<'_>) -> Result<PartitionChangeRecord, Malformed> {
        let partition = PartitionIndex(body.i32()?);
        let mut record = PartitionChangeRecord::new(TopicId(body.uuid()?), partition);
        body.tagged_fields(|tag, value| {
            match tag {
                0 => record.isr = optional_broker_ids(value)?,
                1 => {
                    record.leader =
                        Some(value.i32()?).filter(|leader| *leader != NO_LEADER_CHANGE).map(BrokerId)
                }
                2 => record.replicas = optional_broker_ids(value)?,
                3 => record.removing_replicas = optional_broker_ids(value)?,
                4 => record.adding_replicas = optional_broker_ids(value)?,
                5 => record.leader_recovery_state = Some(value.i8()?).filter(|state| *state >= 0),
                6 => record.elr = optional_broker_ids(value)?,
                7 => record.last_known_elr = optional_broker_ids(value)?,
                8 => record.directories = value.nullable_list(16, |item| item.uuid())?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(record)
    }
}

impl BrokerRegistrationChangeRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.broker_id.0);
        out.put_i64(self.broker_epoch.0);
        let mut tagged = TaggedFields::default();
        // 1 means the state is entered, -1 that it is left, 0 (absent) that it stays.
        let change = |state: bool| if state { 1 } else { -1 };
        tagged.put(0, self.fenced.map(change), |out, change| out.put_i8(change));
        tagged.put(1, self.in_controlled_shutdown.map(change), |out, change| out.put_i8(change));
        tagged.put(2, self.directories.as_ref(), |out, uuids| out.put_uuids(uuids));
        tagged.write(out);
    }

    fn decode(body: &mut Reader<'_>) -> Result<BrokerRegistrationChangeRecord, Malformed> {
        let mut record = BrokerRegistrationChangeRecord {
            broker_id: BrokerId(body.i32()?),
            broker_epoch: Offset(body.i64()?),
            fenced: None,
            in_controlled_shutdown: None,
            directories: None,
        };
        let state = |change: i8| (change != 0).then_some(change > 0);
        body.tagged_fields(|tag, value| {
            match tag {
                0 => record.fenced = state(value.i8()?),
                1 => record.in_controlled_shutdown = state(value.i8()?),
                2 => record.directories = Some(value.uuids()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(record)
    }
}

fn non_empty<T>(items: &[T]) -> Option<&[T]> {
    (!items.is_empty()).then_some(items)
}

fn optional_broker_ids(value: &mut Reader<'_>) -> Result<Option<Vec<BrokerId>>, Malformed> {
    value.nullable_list(4, |item| Ok(BrokerId(item.i32()?)))
}

#[cfg(test)]
mod tests;
