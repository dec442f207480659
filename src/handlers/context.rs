//! What a handler may use: the services of this broker, who asks, and how the answer is put on the wire.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::Encodable;

use super::error_codes::ErrorCodes;
use super::quotas::Meter;
use super::reply::Output;
use super::services::Services;
use super::table::Api;
use super::throttle;
use crate::env::deadlines::Deadlines;
use crate::protocol::errors::ErrorCode;
use crate::protocol::shapes;
use crate::telemetry::metrics::WorkerMetrics;

/// What stands before a response's body: size, correlation id, tagged fields.
const RESPONSE_HEADER_SIZE: usize = 4 + 4 + 1;

/// One request's surroundings.
#[derive(Clone)]
pub struct RequestContext {
    pub services: Arc<Services>,
    pub connection: Rc<ConnectionInfo>,
    pub api: &'static Api,
    pub version: i16,
    pub correlation_id: i32,
    /// Only while client quotas are set.
    pub meter: Option<Rc<Meter>>,
    /// As the request's header has it; `None` for the messages that have their own way, which do not ask.
    pub client_id: Option<Arc<str>>,
}

impl RequestContext {
    /// Appends the response that `write_body` writes behind the response header.
    pub fn respond(&self, out: &mut Output, write_body: impl FnOnce(&mut Output)) {
        let flexible = shapes::response_header_version(self.api.key, self.version) > 0;
        out.respond(self.correlation_id, flexible, write_body);
    }

    /// As [`RequestContext::respond`], for the codec crate's messages. On an error nothing is appended.
    pub fn respond_with(
        &self,
        out: &mut Output,
        response: &impl Encodable,
        version: i16,
    ) -> anyhow::Result<()> {
        // The codec refuses values that the version cannot express before it writes; sizing finds that out.
        let size = response.compute_size(version)?;
        out.bytes.reserve(RESPONSE_HEADER_SIZE + size);
        let before = out.bytes.len();
        let mut result = Ok(());
        self.respond(out, |out| result = response.encode(&mut out.bytes, version));
        if result.is_err() {
            out.bytes.truncate(before);
        }
        result
    }

    /// Ends when so much time has gone. For what waits on this worker.
    pub fn after(&self, duration: Duration) -> tokio::time::Sleep {
        self.connection.deadlines.after(duration)
    }

    /// Says in the only response of `out` for how long the client has to rest, and sees to it.
    pub fn throttle(&self, out: &mut Output) {
        let throttle_ms = self.throttle_request();
        if throttle_ms > 0 {
            out.throttle_ms = throttle_ms;
            throttle::stamp(self.api.key, self.version, &mut out.bytes, throttle_ms);
        }
    }

    /// Counts an error that the answer tells the client.
    pub fn failed(&self, code: ErrorCode) {
        self.connection.metrics.request_failed(self.api.key, code);
    }

    /// Counts every error in `response`.
    pub fn count_errors(&self, response: &impl ErrorCodes) {
        for code in response.error_codes().filter(|code| *code != ErrorCode::None.code()) {
            self.failed(ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError));
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Name of the listener that was reached; Metadata answers with the endpoints of the same name.
    pub listener: Arc<str>,
    pub peer: std::net::SocketAddr,
    /// The counters of the worker that the connection is on.
    pub metrics: Arc<WorkerMetrics>,
    /// The timers of that worker.
    pub deadlines: Rc<Deadlines>,
}
