//! What has a configuration of its own: a topic, a broker or all of them, a group, a client-metrics subscription.
//! The broker logger is none of these: its levels are not metadata. Pure.

use crate::protocol::ids::BrokerId;

/// What a configuration belongs to (`ConfigResource`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ResourceKind,
    /// Topic or group name, broker id, or empty for the default of all brokers.
    pub name: String,
}

impl ConfigResource {
    pub fn topic(name: &str) -> ConfigResource {
        ConfigResource { kind: ResourceKind::Topic, name: name.to_owned() }
    }

    pub fn group(id: &str) -> ConfigResource {
        ConfigResource { kind: ResourceKind::Group, name: id.to_owned() }
    }

    /// One broker's own configuration.
    pub fn broker(id: BrokerId) -> ConfigResource {
        ConfigResource { kind: ResourceKind::Broker, name: id.to_string() }
    }

    /// What every broker takes that has no own value.
    pub fn cluster_default() -> ConfigResource {
        ConfigResource { kind: ResourceKind::Broker, name: String::new() }
    }
}

/// `ConfigResource.Type`, the kinds whose configuration lies in the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    Topic,
    Broker,
    ClientMetrics,
    Group,
}

impl ResourceKind {
    /// The number on the wire and in records.
    pub fn code(self) -> i8 {
        match self {
            ResourceKind::Topic => 2,
            ResourceKind::Broker => 4,
            ResourceKind::ClientMetrics => 16,
            ResourceKind::Group => 32,
        }
    }

    pub fn from_code(code: i8) -> Option<ResourceKind> {
        match code {
            2 => Some(ResourceKind::Topic),
            4 => Some(ResourceKind::Broker),
            16 => Some(ResourceKind::ClientMetrics),
            32 => Some(ResourceKind::Group),
            _ => None,
        }
    }
}
