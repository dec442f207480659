//! Whose quota it is, and which quotas there are (`ClientQuotaEntity`, `QuotaConfig`; KIP-546).
//!
//! Entities are kept as they were named. Which of them make sense is the controller's to say, which of them count for
//! a request is asked of the limits.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

pub const USER: &str = "user";
pub const CLIENT_ID: &str = "client-id";
pub const IP: &str = "ip";

pub const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
pub const REQUEST_PERCENTAGE: &str = "request_percentage";
pub const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// Entity types with names; without a name it is the default of its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity(pub BTreeMap<String, Option<String>>);

impl QuotaEntity {
    pub fn new<Type: Into<String>>(parts: impl IntoIterator<Item = (Type, Option<String>)>) -> QuotaEntity {
        QuotaEntity(parts.into_iter().map(|(kind, name)| (kind.into(), name)).collect())
    }

    pub fn has(&self, entity_type: &str) -> bool {
        self.0.contains_key(entity_type)
    }
}

/// The address that an ip entity names; the different ways to write one come to the same. There is none for a host
/// name: what it resolves to is not a rule.
pub fn address(name: &str) -> Option<IpAddr> {
    name.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// As Kafka shows it in messages.
impl fmt::Display for QuotaEntity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null")));
        write!(formatter, "ClientQuotaEntity(entries={{{}}})", parts.collect::<Vec<_>>().join(", "))
    }
}

/// The value of a quota. Equal when the bits are, as Java's `Double.equals`.
#[derive(Clone, Copy, Debug)]
pub struct QuotaValue(pub f64);

impl PartialEq for QuotaValue {
    fn eq(&self, other: &QuotaValue) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for QuotaValue {}

/// What one entity may use, by key.
pub type QuotaValues = BTreeMap<String, QuotaValue>;

/// Which numbers a quota takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaNumber {
    Double,
    Long,
    Int,
}

/// The quotas of users and clients.
pub const USER_AND_CLIENT_QUOTAS: &[(&str, QuotaNumber)] = &[
    (PRODUCER_BYTE_RATE, QuotaNumber::Long),
    (CONSUMER_BYTE_RATE, QuotaNumber::Long),
    (REQUEST_PERCENTAGE, QuotaNumber::Double),
    (CONTROLLER_MUTATION_RATE, QuotaNumber::Double),
];

/// The quotas of addresses.
pub const IP_QUOTAS: &[(&str, QuotaNumber)] = &[(CONNECTION_CREATION_RATE, QuotaNumber::Int)];
