//! Vectors, and a session, that a worker lends to the fetch it is at, so that a fetch which is answered at once allocates
//! nothing.
//!
//! They are empty whenever they lie here. A fetch that waits takes them along; the worker's next one begins with new
//! ones.

use std::cell::Cell;
use std::sync::Arc;

use super::look::News;
use super::session::SharedSession;
use crate::protocol::fetch::WantedPartitions;
use crate::replication::subscription::Slot;

/// Vectors that have grown beyond this are not kept: a fetch of thousands of partitions is rare, and pays for its own.
const KEPT_LENGTH: usize = 256;

thread_local! {
    static SPARE: Cell<Spare> = const { Cell::new(Spare { slots: Vec::new(), marked: Vec::new(), news: Vec::new() }) };
    static SESSION: Cell<Option<SharedSession>> = const { Cell::new(None) };
}

#[derive(Default)]
pub struct Spare {
    /// Slots with something to tell, carried from look to look.
    pub slots: Vec<Slot>,
    /// Slots that were marked since the last look.
    pub marked: Vec<Slot>,
    pub news: Vec<News>,
}

impl Spare {
    /// What the worker has.
    pub fn take() -> Spare {
        SPARE.take()
    }

    /// Back to the worker.
    pub fn give_back(mut self) {
        let length = self.slots.capacity().max(self.marked.capacity()).max(self.news.capacity());
        if length <= KEPT_LENGTH {
            self.slots.clear();
            self.marked.clear();
            self.news.clear();
            SPARE.set(self);
        }
    }
}

/// A session for one fetch, in the memory of one before: many clients know no sessions, and would pay for one with every
/// request.
pub fn one_off_session(wanted: WantedPartitions<'_>, uses_topic_ids: bool) -> SharedSession {
    let session = SESSION.take().unwrap_or_default();
    session.lock().begin(wanted, uses_topic_ids);
    session
}

/// Of a session that nobody can name its memory goes back to the worker; another stays as it is.
pub fn done_with(mut session: SharedSession) {
    let Some(unshared) = Arc::get_mut(&mut session) else { return };
    let unshared = unshared.get_mut();
    unshared.clear();
    if unshared.capacity() <= KEPT_LENGTH {
        SESSION.set(Some(session));
    }
}
