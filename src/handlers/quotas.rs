//! Client quotas at work: what each client has used, and for how long it has to rest (KIP-13, KIP-124, KIP-546).
//!
//! The rules are `security`'s: which quota counts, and what a rate is. Here is who has used how much, shared by all
//! workers. A response that overdraws a quota leaves at once and says so, and its connection is not read for that time
//! (KIP-219): see [`super::reply::Output::throttle_ms`]. Partitions that are created and deleted have tokens instead of a
//! rate, and what has none is refused (KIP-599). While no quota is set a request costs one look at a pointer.
//! Kafka: `ClientQuotaManager`, `ClientRequestQuotaManager`, `ControllerMutationQuotaManager`.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::context::RequestContext;
use crate::config::broker::QuotaSettings;
use crate::controller::ClusterImage;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::security::limits::{Limit, QuotaLimits, QuotaType};
use crate::security::principal::ANONYMOUS;
use crate::security::rate::{Rate, TokenBucket, Window};

/// Usage of different clients is seldom behind the same lock.
const SHARD_COUNT: usize = 16;
/// Accounts of a shard beyond which those that have rested longest are forgotten.
const MAX_SHARD_ACCOUNT_COUNT: usize = 4096;
/// An account that nobody used for so long is forgotten (`ClientQuotaManager.InactiveSensorExpirationTimeSeconds`).
const ACCOUNT_EXPIRATION_MS: i64 = 3_600_000;

/// Whose usage of what. It owns no memory: client ids are the clients' to choose, and long ones would make accounts large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum AccountKey {
    /// A client by the hashes of its id, with keys that no client knows.
    Client {
        quota: QuotaType,
        user: &'static str,
        client_id: [u64; 2],
    },
    Connections(IpAddr),
}

#[derive(Default)]
struct Account {
    rate: Rate,
    /// Instead of a rate, for partitions that are created and deleted.
    tokens: TokenBucket,
    used_ms: i64,
}

/// The quotas of this broker's clients.
pub struct ClientQuotas {
    /// `None` while no quota is set.
    limits: ArcSwapOption<QuotaLimits>,
    shards: [Mutex<HashMap<AccountKey, Account>>; SHARD_COUNT],
    hasher: RandomState,
    /// The other half of what clients are told apart by.
    second_hasher: RandomState,
    window: Window,
    controller_window: Window,
}

impl ClientQuotas {
    pub fn new(settings: &QuotaSettings) -> ClientQuotas {
        ClientQuotas {
            limits: ArcSwapOption::empty(),
            shards: Default::default(),
            hasher: RandomState::new(),
            second_hasher: RandomState::new(),
            window: Window {
                sample_count: settings.quota_window_num,
                sample_duration_ms: settings.quota_window_size_seconds * 1000,
            },
            controller_window: Window {
                sample_count: settings.controller_quota_window_num,
                sample_duration_ms: settings.controller_quota_window_size_seconds * 1000,
            },
        }
    }

    /// Takes in what was altered.
    pub fn metadata_changed(&self, old: &ClusterImage, new: &ClusterImage) {
        if old.client_quotas.ptr_eq(&new.client_quotas) {
            return;
        }
        let quotas = new.client_quotas.iter().map(|(entity, values)| (entity, &**values));
        let limits = (!new.client_quotas.is_empty()).then(|| Arc::new(QuotaLimits::new(quotas)));
        self.limits.store(limits);
    }

    /// What a request of this client is measured with; `None` while no quota is set.
    pub fn meter(&self, client_id: Option<&str>, uptime_us: impl FnOnce() -> u64) -> Option<Meter> {
        let limits = self.limits.load();
        let limits = limits.as_ref()?.clone();
        let client_id = client_id.unwrap_or_default().to_owned();
        Some(Meter {
            limits,
            client_id,
            began_us: uptime_us(),
            busy_us: Cell::new(None),
            mutation_throttle_ms: Cell::new(0),
        })
    }

    /// For how long a connection that `ip` opens is held before it is closed; `None` for one that is welcome.
    pub fn hold_connection(&self, ip: IpAddr, now_ms: i64) -> Option<i64> {
        let limits = self.limits.load();
        let per_second = limits.as_ref()?.connection_rate(ip)?;
        let throttle_ms = self.update(AccountKey::Connections(ip.to_canonical()), now_ms, |account| {
            account.rate.record(self.window, 1.0, now_ms);
            let throttle_ms = account.rate.throttle_time_ms(self.window, per_second, now_ms);
            if throttle_ms > 0.0 {
                account.rate.record(self.window, -1.0, now_ms);
            }
            throttle_ms as i64
        });
        (throttle_ms > 0).then(|| throttle_ms.min(self.window.sample_duration_ms))
    }

    /// Counts `amount` and answers for how long the client has to rest.
    fn record(&self, meter: &Meter, quota: QuotaType, amount: f64, now_ms: i64) -> u32 {
        let Some(limit) = meter.limits.find(quota, ANONYMOUS, &meter.client_id) else { return 0 };
        let throttle_ms = self.update(self.key(quota, &limit), now_ms, |account| {
            account.rate.record(self.window, amount, now_ms);
            account.rate.throttle_time_ms(self.window, limit.per_second, now_ms)
        });
        let throttle_ms = throttle_ms.min(f64::from(i32::MAX)) as u32;
        match quota {
            QuotaType::Produce | QuotaType::Fetch | QuotaType::ControllerMutation => throttle_ms,
            // Time that was spent is not worth more than a window of rest.
            QuotaType::Request => {
                throttle_ms.min(u32::try_from(self.window.sample_duration_ms).unwrap_or(u32::MAX))
            }
        }
    }

    /// Takes tokens for partitions that are created or deleted. With a debt from before, `is_strict` takes none;
    /// without it the new debt counts. Answers for how long the client has to rest.
    fn take_tokens(&self, meter: &Meter, count: f64, is_strict: bool, now_ms: i64) -> u32 {
        let quota = QuotaType::ControllerMutation;
        let Some(limit) = meter.limits.find(quota, ANONYMOUS, &meter.client_id) else { return 0 };
        let (window, per_second) = (self.controller_window, limit.per_second);
        self.update(self.key(quota, &limit), now_ms, |account| {
            let before_ms = account.tokens.throttle_time_ms(window, per_second, now_ms);
            if is_strict && before_ms > 0.0 {
                return before_ms as u32;
            }
            account.tokens.take(window, per_second, count, now_ms);
            if is_strict { 0 } else { account.tokens.throttle_time_ms(window, per_second, now_ms) as u32 }
        })
    }

    /// Takes back what [`ClientQuotas::record`] has counted at the same time.
    fn unrecord(&self, meter: &Meter, quota: QuotaType, amount: f64, now_ms: i64) {
        if let Some(limit) = meter.limits.find(quota, ANONYMOUS, &meter.client_id) {
            self.update(self.key(quota, &limit), now_ms, |account| {
                account.rate.record(self.window, -amount, now_ms)
            });
        }
    }

    fn key(&self, quota: QuotaType, limit: &Limit<'_>) -> AccountKey {
        let user = if limit.user.is_empty() { "" } else { ANONYMOUS };
        let client_id = [&self.hasher, &self.second_hasher].map(|hasher| hasher.hash_one(limit.client_id));
        AccountKey::Client { quota, user, client_id }
    }

    fn update<T>(&self, key: AccountKey, now_ms: i64, change: impl FnOnce(&mut Account) -> T) -> T {
        let shard = self.hasher.hash_one(key) as usize % SHARD_COUNT;
        let mut accounts = self.shards[shard].lock();
        if accounts.len() >= MAX_SHARD_ACCOUNT_COUNT && !accounts.contains_key(&key) {
            make_room(&mut accounts, now_ms);
        }
        let account = accounts.entry(key).or_default();
        account.used_ms = now_ms;
        change(account)
    }
}

/// Forgets the accounts that have expired, and if there are none the half that has rested longest.
fn make_room(accounts: &mut HashMap<AccountKey, Account>, now_ms: i64) {
    accounts.retain(|_, account| now_ms - account.used_ms < ACCOUNT_EXPIRATION_MS);
    if accounts.len() >= MAX_SHARD_ACCOUNT_COUNT {
        let mut times: Vec<i64> = accounts.values().map(|account| account.used_ms).collect();
        let (_, median, _) = times.select_nth_unstable(MAX_SHARD_ACCOUNT_COUNT / 2);
        let median = *median;
        accounts.retain(|_, account| account.used_ms > median);
    }
}

/// What a client in debt is told that wants partitions created or deleted.
pub fn exceeded() -> ApiError {
    ApiError::new(ErrorCode::ThrottlingQuotaExceeded, "The throttling quota has been exceeded.")
}

/// One request while quotas are set: under which limits, and how long it takes.
pub struct Meter {
    limits: Arc<QuotaLimits>,
    client_id: String,
    began_us: u64,
    /// How long the worker was busy with it, once its handler has returned.
    busy_us: Cell<Option<u64>>,
    /// For how long the client has to rest because of partitions it has created and deleted.
    mutation_throttle_ms: Cell<u32>,
}

impl Meter {
    /// The handler has returned; what it waits for from here on keeps no worker busy.
    pub fn handled(&self, now_us: u64) {
        self.busy_us.set(Some(now_us.saturating_sub(self.began_us)));
    }
}

/// A hundred percent are one worker's whole time.
fn percentage(busy_us: u64) -> f64 {
    busy_us as f64 * 100.0 / 1_000_000.0
}

impl RequestContext {
    /// For how long the client has to rest, in milliseconds, after a request that is measured by its time alone.
    pub fn throttle_request(&self) -> u32 {
        let Some(meter) = &self.meter else { return 0 };
        let clock = &self.services.clock;
        let busy_us = meter.busy_us.get().unwrap_or_else(|| clock.uptime_us().saturating_sub(meter.began_us));
        let quotas = &self.services.quotas;
        let of_time = quotas.record(meter, QuotaType::Request, percentage(busy_us), clock.uptime_ms());
        of_time.max(meter.mutation_throttle_ms.get())
    }

    /// KIP-599: lets `count` partitions be created or deleted. From version `strict_since` on a client in debt is
    /// refused, with THROTTLING_QUOTA_EXCEEDED; an older one only has to rest. What comes to nothing is to be given
    /// back. Kafka asks after it has checked the rest of the request, so that its refusals cost nothing.
    pub fn take_partitions(&self, count: usize, strict_since: i16) -> Result<(), ApiError> {
        let is_strict = self.version >= strict_since;
        let throttle_ms = self.charge_partitions(count, is_strict);
        if is_strict && throttle_ms > 0 { Err(exceeded()) } else { Ok(()) }
    }

    /// As [`RequestContext::take_partitions`] in a version that is never refused.
    pub fn take_partitions_freely(&self, count: usize) {
        self.charge_partitions(count, false);
    }

    fn charge_partitions(&self, count: usize, is_strict: bool) -> u32 {
        let Some(meter) = self.meter.as_ref().filter(|_| count > 0) else { return 0 };
        let now_ms = self.services.clock.uptime_ms();
        let throttle_ms = self.services.quotas.take_tokens(meter, count as f64, is_strict, now_ms);
        meter.mutation_throttle_ms.set(meter.mutation_throttle_ms.get().max(throttle_ms));
        throttle_ms
    }

    /// Gives back partitions that were neither created nor deleted.
    pub fn give_partitions_back(&self, count: usize) {
        let Some(meter) = &self.meter else { return };
        let now_ms = self.services.clock.uptime_ms();
        self.services.quotas.take_tokens(meter, -(count as f64), false, now_ms);
    }

    /// The same after a produce. Without an answer its time is free, as in Kafka.
    pub fn throttle_produce(&self, request_size_bytes: usize, is_answered: bool) -> u32 {
        let Some(meter) = &self.meter else { return 0 };
        let now_ms = self.services.clock.uptime_ms();
        let of_bytes =
            self.services.quotas.record(meter, QuotaType::Produce, request_size_bytes as f64, now_ms);
        let of_time = if is_answered { self.throttle_request() } else { 0 };
        of_bytes.max(of_time)
    }

    /// The same after a fetch. If it is not 0 the answer has to be an empty one, whose bytes do not count.
    pub fn throttle_fetch(&self, response_size_bytes: usize) -> u32 {
        let Some(meter) = &self.meter else { return 0 };
        let (quotas, now_ms) = (&self.services.quotas, self.services.clock.uptime_ms());
        let of_time = self.throttle_request();
        let of_bytes = quotas.record(meter, QuotaType::Fetch, response_size_bytes as f64, now_ms);
        let throttle_ms = of_bytes.max(of_time);
        if throttle_ms > 0 {
            quotas.unrecord(meter, QuotaType::Fetch, response_size_bytes as f64, now_ms);
        }
        throttle_ms
    }

    /// Takes back what [`RequestContext::throttle_fetch`] has counted, because the fetch is not answered yet after all.
    pub fn unthrottle_fetch(&self, response_size_bytes: usize) {
        let Some(meter) = &self.meter else { return };
        let (quotas, now_ms) = (&self.services.quotas, self.services.clock.uptime_ms());
        quotas.unrecord(meter, QuotaType::Fetch, response_size_bytes as f64, now_ms);
        // The time of a request that waits is known, and the same whenever it is counted.
        if let Some(busy_us) = meter.busy_us.get() {
            quotas.unrecord(meter, QuotaType::Request, percentage(busy_us), now_ms);
        }
    }

    /// Bytes that a fetch may bring without being throttled for ever.
    pub fn max_fetch_bytes(&self) -> usize {
        let Some(meter) = &self.meter else { return usize::MAX };
        match meter.limits.find(QuotaType::Fetch, ANONYMOUS, &meter.client_id) {
            Some(limit) => self.services.quotas.window.burst(limit.per_second) as usize,
            None => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::entity::{QuotaEntity, QuotaValue, QuotaValues};

    /// Of an entity: its types and names, a key and the value.
    type Quota<'a> = (&'a [(&'a str, Option<&'a str>)], &'a str, f64);

    fn quotas(entities: &[Quota<'_>]) -> ClientQuotas {
        let quotas = ClientQuotas::new(&QuotaSettings {
            controller_quota_window_num: 11,
            controller_quota_window_size_seconds: 1,
            quota_window_num: 11,
            quota_window_size_seconds: 1,
        });
        let old = ClusterImage::new("cluster".into());
        let mut new = old.clone();
        for (parts, key, value) in entities {
            let parts = parts.iter().map(|(kind, name)| (*kind, name.map(str::to_owned)));
            let values = QuotaValues::from([(key.to_string(), QuotaValue(*value))]);
            new.client_quotas.insert(QuotaEntity::new(parts), Arc::new(values));
        }
        quotas.metadata_changed(&old, &new);
        quotas
    }

    #[test]
    fn without_quotas_nothing_is_measured() {
        assert!(quotas(&[]).meter(Some("c"), || unreachable!("no time is taken")).is_none());
    }

    #[test]
    fn clients_of_one_user_share_its_account_and_others_have_their_own() {
        let record = |quotas: &ClientQuotas, client_id| {
            let meter = quotas.meter(Some(client_id), || 0).unwrap();
            quotas.record(&meter, QuotaType::Produce, 900.0, 0)
        };
        let shared = quotas(&[(&[("user", None)], "producer_byte_rate", 100.0)]);
        assert_eq!((record(&shared, "a"), record(&shared, "b")), (0, 8000));
        let separate = quotas(&[(&[("client-id", None)], "producer_byte_rate", 100.0)]);
        assert_eq!((record(&separate, "a"), record(&separate, "b"), record(&separate, "a")), (0, 0, 8000));
    }

    #[test]
    fn time_is_throttled_for_a_window_at_most() {
        let quotas = quotas(&[(&[("user", None)], "request_percentage", 0.01)]);
        let meter = quotas.meter(None, || 0).unwrap();
        assert_eq!(quotas.record(&meter, QuotaType::Request, 50.0, 0), 1000);
    }

    #[test]
    fn a_debt_of_partitions_refuses_the_strict_and_lets_others_rest() {
        let quotas = quotas(&[(&[("user", None)], "controller_mutation_rate", 1.0)]);
        let meter = quotas.meter(None, || 0).unwrap();
        assert_eq!(quotas.take_tokens(&meter, 13.0, true, 0), 0, "eleven were there");
        assert_eq!(quotas.take_tokens(&meter, 1.0, true, 0), 2000);
        assert_eq!(quotas.take_tokens(&meter, 1.0, false, 0), 3000);
        assert_eq!(quotas.take_tokens(&meter, 1.0, true, 3000), 0);
    }

    #[test]
    fn accounts_do_not_grow_without_bound() {
        let quotas = quotas(&[(&[("client-id", None)], "producer_byte_rate", 100.0)]);
        for client in 0..200_000 {
            let meter = quotas.meter(Some(&client.to_string()), || 0).unwrap();
            quotas.record(&meter, QuotaType::Produce, 1.0, client);
        }
        let count: usize = quotas.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(count <= SHARD_COUNT * MAX_SHARD_ACCOUNT_COUNT);
        assert!(count >= SHARD_COUNT * MAX_SHARD_ACCOUNT_COUNT / 4);
    }

    #[test]
    fn an_account_is_small_however_long_the_id_of_its_client_is() {
        assert!(!std::mem::needs_drop::<AccountKey>(), "a key owns no memory");
        assert!(size_of::<AccountKey>() <= 64);
        let quotas = quotas(&[(&[("client-id", None)], "producer_byte_rate", 100.0)]);
        let record = |last: &str| {
            let client_id = "c".repeat(32_000) + last;
            let meter = quotas.meter(Some(&client_id), || 0).unwrap();
            quotas.record(&meter, QuotaType::Produce, 900.0, 0)
        };
        assert_eq!((record("a"), record("b"), record("a")), (0, 0, 8000));
    }

    #[test]
    fn an_address_that_opens_too_many_connections_is_held_and_not_counted_for_it() {
        let quotas = quotas(&[(&[("ip", Some("127.0.0.1"))], "connection_creation_rate", 1.0)]);
        let (ip, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        for _ in 0..10 {
            assert_eq!(quotas.hold_connection(ip, 0), None);
        }
        assert_eq!(quotas.hold_connection(ip, 0), Some(1000));
        assert_eq!(quotas.hold_connection(other, 0), None);
        assert_eq!(quotas.hold_connection(ip, 11_000), None);
    }
}
