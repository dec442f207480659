//! From this crate's types to the codec crate's, and values that several answers share.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use crate::controller::{BrokerImage, Endpoint};
use crate::protocol::ids::{BrokerId, ProducerId};

/// Authorized operations of a client that did not ask for them (KIP-430).
pub const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// Bits of `AclOperation` codes; without an authorizer every supported operation is allowed.
const fn operations(codes: &[u32]) -> i32 {
    let mut bits = 0;
    let mut index = 0;
    while index < codes.len() {
        bits |= 1 << codes[index];
        index += 1;
    }
    bits
}

// AclOperation: READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7, DESCRIBE 8, CLUSTER_ACTION 9,
// DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11, IDEMPOTENT_WRITE 12.
/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS (`AclEntry.supportedOperations`).
pub const ALL_TOPIC_OPERATIONS: i32 = operations(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// CREATE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE, ALTER, DESCRIBE.
pub const ALL_CLUSTER_OPERATIONS: i32 = operations(&[5, 7, 8, 9, 10, 11, 12]);

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
pub const ALL_GROUP_OPERATIONS: i32 = operations(&[3, 6, 8, 10, 11]);

/// Where `broker` is reached through the listener of this name.
pub fn endpoint<'a>(broker: &'a BrokerImage, listener: &str) -> Option<&'a Endpoint> {
    broker.endpoints.iter().find(|endpoint| endpoint.name == listener)
}

/// A string as the codec crate holds it.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A string of the codec crate, to keep: a slice of the request would keep all of it.
pub fn shared(text: &StrBytes) -> Arc<str> {
    Arc::from(text.as_str())
}

/// As Java prints an address that has no name: `/127.0.0.1`, `/0:0:0:0:0:0:0:1`.
pub fn client_host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            format!("/{}", groups.join(":"))
        }
    }
}

/// A broker's id as the codec crate holds it.
pub fn broker_id(broker: BrokerId) -> kafka_protocol::messages::BrokerId {
    kafka_protocol::messages::BrokerId(broker.0)
}

/// A producer's id as the codec crate holds it.
pub fn producer_id(producer: ProducerId) -> kafka_protocol::messages::ProducerId {
    kafka_protocol::messages::ProducerId(producer.0)
}

/// As [`broker_id`], for a list such as an ISR.
pub fn broker_ids(brokers: &[BrokerId]) -> Vec<kafka_protocol::messages::BrokerId> {
    brokers.iter().map(|broker| broker_id(*broker)).collect()
}

/// The elements whose key no earlier one has. For requests whose answer tells more of an element than the request does:
/// repeating a short name would make it as large as the client likes.
pub fn first_mentions<Element, Key: Eq + Hash>(
    mut elements: Vec<Element>,
    key: impl Fn(&Element) -> Key,
) -> Vec<Element> {
    let mut seen = HashSet::new();
    elements.retain(|element| seen.insert(key(element)));
    elements
}

/// Topics of an answer, each once, in the order in which they are first mentioned.
pub struct ByMention<Key, Topic> {
    topics: Vec<Topic>,
    positions: HashMap<Key, usize>,
}

impl<Key: Eq + Hash, Topic> ByMention<Key, Topic> {
    pub fn new() -> ByMention<Key, Topic> {
        ByMention { topics: Vec::new(), positions: HashMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The topic of this key, which `make` makes at its first mention.
    pub fn topic(&mut self, key: Key, make: impl FnOnce() -> Topic) -> &mut Topic {
        let position = *self.positions.entry(key).or_insert(self.topics.len());
        if position == self.topics.len() {
            self.topics.push(make());
        }
        &mut self.topics[position]
    }

    pub fn into_topics(self) -> Vec<Topic> {
        self.topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_mentions_stay_in_their_order() {
        let mentions = vec![("b", 1), ("a", 2), ("b", 3), ("", 4), ("a", 5), ("", 6)];
        assert_eq!(first_mentions(mentions, |(name, _)| *name), [("b", 1), ("a", 2), ("", 4)]);
    }

    #[test]
    fn hosts_are_printed_as_java_does() {
        for (address, printed) in [
            ("127.0.0.1", "/127.0.0.1"),
            ("::ffff:10.1.2.3", "/10.1.2.3"),
            ("::1", "/0:0:0:0:0:0:0:1"),
            ("2001:db8::7", "/2001:db8:0:0:0:0:0:7"),
        ] {
            assert_eq!(client_host(address.parse().expect("an address")), printed);
        }
    }
}
