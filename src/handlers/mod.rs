//! One file per message of the protocol, and the way a frame takes to its file.
//!
//! [`table`] says which messages are served. A frame is walked before anything is decoded: header, shape of the
//! body, size. What cannot be trusted closes the connection, as in Kafka. Produce, Fetch and ApiVersions have
//! their own way; all others are decoded by the codec crate and answered by the `handle` of their file.
//!
//! Handlers use `raft` (to change the cluster) and `replication` (to read and write partitions), never the log or
//! the store. What a message's fields allow is decided here; rules of the cluster are the controller's. Kafka:
//! `KafkaApis`, `ControllerApis`.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod add_raft_voter;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod cluster_control;
mod committing;
mod config_changes;
pub mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod consumer_groups;
pub mod context;
pub mod conversions;
mod coordinator_topic;
mod create_acls;
mod create_delegation_token;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_delegation_token;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod error_codes;
mod expire_delegation_token;
pub mod features;
pub mod fetch;
mod find_coordinator;
pub mod groups;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod logger_levels;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
pub mod producer_ids;
mod quorum_changes;
pub mod quotas;
pub mod releases;
mod remove_raft_voter;
mod renew_delegation_token;
pub mod reply;
mod sasl_authenticate;
mod sasl_handshake;
pub mod services;
mod sync_group;
pub mod table;
mod throttle;
mod transactional;
pub mod transactions;
mod txn_offset_commit;
mod unregister_broker;
mod unregister_controller;
mod update_features;
mod wire;
pub mod write_txn_markers;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::context::{ConnectionInfo, RequestContext};
use self::produce::Scratch;
use self::reply::{Handled, Output, Peer, Service};
use self::services::Services;
use crate::env::deadlines::Deadlines;
use crate::protocol::errors::ErrorCode;
use crate::protocol::shapes::{self, Header, Limits};
use crate::replication::wake_ups;
use crate::telemetry::metrics::WorkerMetrics;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;
const API_VERSIONS: i16 = 18;

/// The handlers of one worker thread.
pub struct Handlers {
    services: Arc<Services>,
    /// Those of the release that this broker passes for.
    apis: &'static [table::Api],
    metrics: Arc<WorkerMetrics>,
    deadlines: Rc<Deadlines>,
    /// Buffers that every produce request of this worker uses again.
    produce: RefCell<Scratch>,
}

impl Handlers {
    /// `services` are those of the whole broker, `metrics` those of this worker.
    pub fn new(services: Arc<Services>, metrics: Arc<WorkerMetrics>) -> Handlers {
        let apis = &services.release.apis;
        Handlers { services, apis, metrics, deadlines: Rc::default(), produce: RefCell::default() }
    }
}

impl Service for Handlers {
    type Session = Rc<ConnectionInfo>;

    fn open(&self, peer: Peer) -> Result<Rc<ConnectionInfo>, Duration> {
        let (ip, now_ms) = (peer.address.ip().to_canonical(), self.services.clock.uptime_ms());
        if let Some(hold_ms) = self.services.quotas.hold_connection(ip, now_ms) {
            return Err(Duration::from_millis(hold_ms.unsigned_abs()));
        }
        Ok(self.take_over(peer))
    }

    fn take_over(&self, peer: Peer) -> Rc<ConnectionInfo> {
        let Peer { address, listener, .. } = peer;
        let (metrics, deadlines) = (self.metrics.clone(), self.deadlines.clone());
        Rc::new(ConnectionInfo { listener, peer: address, metrics, deadlines })
    }

    fn handle(&self, session: &mut Rc<ConnectionInfo>, frame: &mut [u8], out: &mut Output) -> Handled {
        let [key_high, key_low, version_high, version_low, ..] = *frame else {
            return Handled::Close("a frame without an API key");
        };
        let key = i16::from_be_bytes([key_high, key_low]);
        let version = i16::from_be_bytes([version_high, version_low]);
        let Some(api) = table::find(self.apis, key) else {
            return Handled::Close("an API that is not served");
        };
        if !api.is_common(version) {
            return match api.serves(version) {
                true => self.handle_old(session, api, frame),
                false => self.refuse_version(api, frame, out),
            };
        }
        let Ok(header) = shapes::check_header(shapes::is_flexible(key, version), frame) else {
            return Handled::Close("a request header that cannot be read");
        };
        let (context, body_start) = (self.context(session, api, &header), header.body_start);
        let meter = context.meter.clone();
        let handled = match key {
            PRODUCE => wake_ups::hold(|| {
                produce::handle(&context, &mut self.produce.borrow_mut(), frame, body_start, out)
            }),
            FETCH if frame.len() > self.services.config().network.klamm_request_max_bytes => {
                Handled::Close("a fetch beyond klamm.request.max.bytes")
            }
            FETCH => fetch::handle(&context, frame, body_start, out),
            _ => {
                let client_id = header.client_id.as_deref().map(Arc::from);
                let body_start = cluster_control::body_start(key, version).unwrap_or(body_start);
                handle_cold(RequestContext { client_id, ..context }, &frame[body_start..], out)
            }
        };
        if let Some(meter) = meter {
            meter.handled(self.services.clock.uptime_us());
        }
        handled
    }

    fn replied(&self) {
        wake_ups::release();
    }
}

impl Handlers {
    /// What a request needs to know, with its meter running where it has one.
    #[inline(always)]
    fn context(
        &self,
        session: &Rc<ConnectionInfo>,
        api: &'static table::Api,
        header: &Header<'_>,
    ) -> RequestContext {
        let clock = &self.services.clock;
        let meter = self.services.quotas.meter(header.client_id.as_deref(), || clock.uptime_us());
        RequestContext {
            services: self.services.clone(),
            connection: session.clone(),
            api,
            version: header.api_version,
            correlation_id: header.correlation_id,
            meter: meter.map(Rc::new),
            client_id: None,
        }
    }

    /// A version from before record batches. Few clients speak them, so all others are asked nothing more.
    #[cold]
    fn handle_old(&self, session: &Rc<ConnectionInfo>, api: &'static table::Api, frame: &[u8]) -> Handled {
        let Ok(header) = shapes::check_header(false, frame) else {
            return Handled::Close("a request header that cannot be read");
        };
        let limit = self.services.config().network.klamm_request_max_bytes;
        if api.key != PRODUCE && frame.len() > limit {
            return Handled::Close("a request beyond klamm.request.max.bytes");
        }
        let context = self.context(session, api, &header);
        let handled = match api.key {
            PRODUCE => produce::message_sets::handle(&context, frame, header.body_start),
            FETCH => fetch::message_sets::handle(&context, frame, header.body_start),
            LIST_OFFSETS => list_offsets::segments::handle(&context, frame, header.body_start),
            _ => Handled::Close("an old version without a handler"),
        };
        if let Some(meter) = &context.meter {
            meter.handled(self.services.clock.uptime_us());
        }
        handled
    }

    /// Kafka answers an unknown version of ApiVersions, so that a newer client learns what to speak, and closes
    /// the connection on any other.
    fn refuse_version(&self, api: &'static table::Api, frame: &[u8], out: &mut Output) -> Handled {
        if api.key != API_VERSIONS {
            return Handled::Close("a version that is not served");
        }
        let Some(correlation_id) = frame.get(4..8) else {
            return Handled::Close("a frame without a correlation id");
        };
        let correlation_id =
            i32::from_be_bytes(correlation_id.try_into().expect("the range holds four bytes"));
        self.metrics.request_failed(api.key, ErrorCode::UnsupportedVersion);
        let known = self.services.release.refuses_with_range.then_some(api);
        match api_versions::refuse(known, correlation_id, out) {
            Ok(()) => Handled::Done,
            Err(_) => Handled::Close("an ApiVersions answer that cannot be written"),
        }
    }
}

/// Everything but Produce and Fetch: checked against the message definition, then decoded by the codec crate.
fn handle_cold(context: RequestContext, body: &[u8], out: &mut Output) -> Handled {
    let limit = context.services.config().network.klamm_request_max_bytes;
    if body.len() > limit {
        return Handled::Close("a request beyond klamm.request.max.bytes");
    }
    if let Err(error) = shapes::check(context.api.key, context.version, body, &Limits::default()) {
        tracing::debug!(api = context.api.name, version = context.version, %error, "malformed request");
        return Handled::Close("a request that does not have its message's shape");
    }
    if context.api.key == API_VERSIONS {
        return match api_versions::handle(&context, body, out) {
            Ok(()) => Handled::Done,
            Err(_) => Handled::Close("an ApiVersions request that cannot be read"),
        };
    }
    if cluster_control::is(context.api.key) {
        cluster_control::refuse(&context, out);
        return Handled::Done;
    }
    match table::serve(context, Bytes::copy_from_slice(body)) {
        Some(mut answer) => match poll_once(&mut answer) {
            // Most requests need to wait for nothing.
            Some(output) => {
                out.append(output);
                Handled::Done
            }
            None => Handled::Wait(answer),
        },
        None => Handled::Close("an API without a handler"),
    }
}

/// The output of a future that is ready at once. Polling it again later gives it a waker.
fn poll_once(future: &mut reply::LocalFuture<Output>) -> Option<Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
