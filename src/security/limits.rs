//! Which of the quotas that are set counts for a client (`ClientQuotaManager.DefaultQuotaCallback`; KIP-13, KIP-55).
//!
//! The most specific level that has the quota in question: user and client id, user and the default client, user; then
//! the same three of the default user; then client id, and the default client. Clients share the account of their
//! level: all clients of a user do when the quota is the user's.

use std::collections::HashMap;
use std::net::IpAddr;

use super::entity::{
    CLIENT_ID, CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, IP,
    PRODUCER_BYTE_RATE, QuotaEntity, QuotaValues, REQUEST_PERCENTAGE, USER, address,
};

/// What users and clients have quotas of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaType {
    Produce,
    Fetch,
    Request,
    ControllerMutation,
}

impl QuotaType {
    pub fn key(self) -> &'static str {
        match self {
            QuotaType::Produce => PRODUCER_BYTE_RATE,
            QuotaType::Fetch => CONSUMER_BYTE_RATE,
            QuotaType::Request => REQUEST_PERCENTAGE,
            QuotaType::ControllerMutation => CONTROLLER_MUTATION_RATE,
        }
    }
}

/// The quota that counts, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit<'a> {
    /// Whose usage is counted together; empty where the level does not ask.
    pub user: &'a str,
    pub client_id: &'a str,
    pub per_second: f64,
}

/// The quotas of one user, of the default user, or of no user.
#[derive(Clone, Debug, Default)]
struct Clients {
    named: HashMap<String, QuotaValues>,
    default: QuotaValues,
    /// Of all clients of the user together.
    all: QuotaValues,
}

/// All quotas, in the form in which requests ask for them.
#[derive(Clone, Debug, Default)]
pub struct QuotaLimits {
    users: HashMap<String, Clients>,
    default_user: Clients,
    no_user: Clients,
    /// In their canonical form.
    addresses: HashMap<IpAddr, QuotaValues>,
    default_address: QuotaValues,
}

impl QuotaLimits {
    pub fn new<'a>(quotas: impl IntoIterator<Item = (&'a QuotaEntity, &'a QuotaValues)>) -> QuotaLimits {
        let mut limits = QuotaLimits::default();
        for (entity, values) in quotas {
            if let Some(place) = limits.place(entity) {
                *place = values.clone();
            }
        }
        limits
    }

    /// Where the quotas of an entity stand; `None` for an ip that is no address.
    fn place(&mut self, entity: &QuotaEntity) -> Option<&mut QuotaValues> {
        match entity.0.get(IP) {
            Some(Some(name)) => return Some(self.addresses.entry(address(name)?).or_default()),
            Some(None) => return Some(&mut self.default_address),
            None => {}
        }
        let clients = match entity.0.get(USER) {
            Some(Some(user)) => self.users.entry(user.clone()).or_default(),
            Some(None) => &mut self.default_user,
            None => &mut self.no_user,
        };
        Some(match entity.0.get(CLIENT_ID) {
            Some(Some(client_id)) => clients.named.entry(client_id.clone()).or_default(),
            Some(None) => &mut clients.default,
            None => &mut clients.all,
        })
    }

    /// The quota of this type that counts for a client; a client without an id has none of its own.
    pub fn find<'a>(&self, quota: QuotaType, user: &'a str, client_id: &'a str) -> Option<Limit<'a>> {
        let key = quota.key();
        let of = |values: &QuotaValues| values.get(key).map(|value| value.0);
        let levels =
            [(self.users.get(user), user), (Some(&self.default_user), user), (Some(&self.no_user), "")];
        for (clients, user) in levels {
            let Some(clients) = clients else { continue };
            if !client_id.is_empty() {
                let own = clients.named.get(client_id).and_then(of);
                if let Some(per_second) = own.or_else(|| of(&clients.default)) {
                    return Some(Limit { user, client_id, per_second });
                }
            }
            if let Some(per_second) = of(&clients.all) {
                return Some(Limit { user, client_id: "", per_second });
            }
        }
        None
    }

    /// Connections that `address` may open in a second.
    pub fn connection_rate(&self, address: IpAddr) -> Option<f64> {
        let of = |values: &QuotaValues| values.get(CONNECTION_CREATION_RATE).map(|value| value.0);
        self.addresses.get(&address.to_canonical()).and_then(of).or_else(|| of(&self.default_address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::entity::QuotaValue;

    type Level<'a> = (Option<Option<&'a str>>, Option<Option<&'a str>>);

    /// Kafka's eight levels, the strongest first, for the user alice and the client c.
    const LEVELS: [Level<'static>; 8] = [
        (Some(Some("alice")), Some(Some("c"))),
        (Some(Some("alice")), Some(None)),
        (Some(Some("alice")), None),
        (Some(None), Some(Some("c"))),
        (Some(None), Some(None)),
        (Some(None), None),
        (None, Some(Some("c"))),
        (None, Some(None)),
    ];

    fn limits(levels: &[(Level<'_>, f64)]) -> QuotaLimits {
        let quotas: Vec<(QuotaEntity, QuotaValues)> = levels
            .iter()
            .map(|((user, client_id), value)| {
                let user = user.map(|name| (USER, name.map(str::to_owned)));
                let client_id = client_id.map(|name| (CLIENT_ID, name.map(str::to_owned)));
                let values = QuotaValues::from([(PRODUCER_BYTE_RATE.to_owned(), QuotaValue(*value))]);
                (QuotaEntity::new(user.into_iter().chain(client_id)), values)
            })
            .collect();
        QuotaLimits::new(quotas.iter().map(|(entity, values)| (entity, values)))
    }

    #[test]
    fn the_most_specific_level_counts() {
        for strongest in 0..LEVELS.len() {
            let levels: Vec<(Level<'_>, f64)> =
                (strongest..LEVELS.len()).map(|level| (LEVELS[level], 10.0 + level as f64)).collect();
            let found = limits(&levels).find(QuotaType::Produce, "alice", "c").unwrap();
            assert_eq!(found.per_second, 10.0 + strongest as f64);
        }
    }

    #[test]
    fn usage_is_counted_on_the_level_the_quota_is_of() {
        let account = |level: Level<'_>| {
            let limits = limits(&[(level, 1.0)]);
            let found = limits.find(QuotaType::Produce, "alice", "c").unwrap();
            (found.user, found.client_id)
        };
        assert_eq!(account(LEVELS[4]), ("alice", "c"));
        assert_eq!(account(LEVELS[5]), ("alice", ""));
        assert_eq!(account(LEVELS[7]), ("", "c"));
    }

    #[test]
    fn a_level_without_this_quota_is_passed_over() {
        let limits = limits(&[(LEVELS[2], 1.0)]);
        assert_eq!(limits.find(QuotaType::Fetch, "alice", "c"), None);
        assert_eq!(limits.find(QuotaType::Produce, "bob", "c"), None);
    }

    #[test]
    fn a_client_without_an_id_has_only_its_users_quota() {
        let limits = limits(&[(LEVELS[1], 1.0), (LEVELS[5], 2.0), (LEVELS[7], 3.0)]);
        assert_eq!(limits.find(QuotaType::Produce, "alice", "").unwrap().per_second, 2.0);
    }

    #[test]
    fn an_address_has_its_own_rate_or_the_default() {
        let set = |name: Option<&str>, value| {
            let values = QuotaValues::from([(CONNECTION_CREATION_RATE.to_owned(), QuotaValue(value))]);
            (QuotaEntity::new([(IP, name.map(str::to_owned))]), values)
        };
        let quotas = [set(Some("10.0.0.1"), 5.0), set(None, 1.0)];
        let limits = QuotaLimits::new(quotas.iter().map(|(entity, values)| (entity, values)));
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(limits.connection_rate(address("10.0.0.1")), Some(5.0));
        assert_eq!(limits.connection_rate(address("10.0.0.2")), Some(1.0));
        assert_eq!(QuotaLimits::default().connection_rate(address("10.0.0.2")), None);
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let rate = |name: &str, peer: &str| {
            let values = QuotaValues::from([(CONNECTION_CREATION_RATE.to_owned(), QuotaValue(5.0))]);
            let entity = QuotaEntity::new([(IP, Some(name.to_owned()))]);
            QuotaLimits::new([(&entity, &values)]).connection_rate(peer.parse().unwrap())
        };
        assert_eq!(rate("0:0:0:0:0:0:0:1", "::1"), Some(5.0));
        assert_eq!(rate("::ffff:10.0.0.1", "10.0.0.1"), Some(5.0));
        assert_eq!(rate("10.0.0.1", "::ffff:10.0.0.1"), Some(5.0));
        assert_eq!(rate("FE80::0A", "fe80::a"), Some(5.0));
        assert_eq!(rate("localhost", "127.0.0.1"), None, "a name is no address");
    }
}
