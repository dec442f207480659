//! Partitions without files in a Produce request: they get them off the worker, and only then what is appended to them.
//!
//! The other partitions of the request have been appended by then, and the connection's later requests wait. What would be
//! refused makes no files.

use std::sync::Arc;

use super::{Scratch, answer_work, append, refuse, rules, settle};
use crate::handlers::context::RequestContext;
use crate::handlers::reply::{Handled, Work};
use crate::protocol::ids::Timestamp;
use crate::protocol::validate::validate_produce;
use crate::replication::replica::Replica;
use crate::replication::transactions::Verification;

/// A partition whose records wait for its files.
pub struct Fileless {
    /// Its position in the request.
    pub index: usize,
    pub replica: Arc<Replica>,
    pub verification: Verification,
}

/// Whether records may be appended, as far as they tell. Looks at a copy, because checking them patches them.
#[cold]
pub fn are_valid(version: i16, replica: &Replica, records: &[u8], now: Timestamp) -> bool {
    validate_produce(&mut records.to_vec(), &rules(version, replica, &replica.config(), now)).is_ok()
}

/// Appends to the partitions that were left out, and answers.
#[cold]
pub fn append_later(context: RequestContext, scratch: &mut Scratch, frame: &[u8]) -> Handled {
    let mut scratch = std::mem::take(scratch);
    // The frame's buffer goes back to the connection.
    let mut frame = frame.to_vec();
    Handled::Work(Work::holding(frame.len(), async move |held| {
        append_all(&context, &mut scratch, &mut frame).await;
        answer_work(context, scratch, frame, held).await
    }))
}

/// Makes the files of the partitions that were left out, and appends to them.
pub async fn append_all(context: &RequestContext, scratch: &mut Scratch, frame: &mut [u8]) {
    let fileless = std::mem::take(&mut scratch.fileless);
    if fileless.is_empty() {
        return;
    }
    let replicas = fileless.iter().map(|partition| partition.replica.clone()).collect();
    context.services.replicas.make_files(replicas).await;
    let (now, acks) = (context.services.clock.now(), scratch.request.acks);
    for Fileless { index, replica, verification } in fileless {
        let records = &mut frame[scratch.request.partitions[index].records.clone().unwrap_or(0..0)];
        let appended = match append(context.version, &replica, records, (acks, verification), now) {
            Ok(appended) => Ok((replica, appended)),
            Err(error) => Err(refuse(context.version, &replica, records, error)),
        };
        scratch.answers[index] = settle(index, acks, appended, &mut scratch.waiting);
    }
}
