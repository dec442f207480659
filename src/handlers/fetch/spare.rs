//! Vectors that a worker lends to the fetch it is at, so that a fetch which is answered at once allocates none.
//!
//! They are empty whenever they lie here. A fetch that waits takes them along; the worker's next one begins with new
//! ones.

use std::cell::Cell;

use super::look::News;
use crate::replication::subscription::Slot;

/// Vectors that have grown beyond this are not kept: a fetch of thousands of partitions is rare, and pays for its own.
const KEPT_LENGTH: usize = 256;

thread_local! {
    static SPARE: Cell<Spare> = const { Cell::new(Spare { slots: Vec::new(), marked: Vec::new(), news: Vec::new() }) };
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
