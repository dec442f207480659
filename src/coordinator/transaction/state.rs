//! The states of a transactional id, and which may follow which. Kafka: `TransactionState`.
//!
//! Kafka has two more that are never in its log: `Dead` is an id between the decision that it expires and its
//! tombstone, `PrepareEpochFence` a producer between the decision to fence it and the abort. Here both are one step.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The producer has its epoch and has begun nothing.
    Empty,
    Ongoing,
    /// Decided; the markers are being written.
    PrepareCommit,
    PrepareAbort,
    /// Every partition has its marker.
    CompleteCommit,
    CompleteAbort,
}

use State::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};

impl State {
    pub const ALL: [State; 6] = [Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort];

    /// In the log; `None` for what nobody writes.
    pub fn from_id(id: i8) -> Option<State> {
        State::ALL.into_iter().find(|state| state.id() == id)
    }

    pub fn id(self) -> i8 {
        match self {
            Empty => 0,
            Ongoing => 1,
            PrepareCommit => 2,
            PrepareAbort => 3,
            CompleteCommit => 4,
            CompleteAbort => 5,
        }
    }

    /// As DescribeTransactions and ListTransactions spell it.
    pub fn name(self) -> &'static str {
        match self {
            Empty => "Empty",
            Ongoing => "Ongoing",
            PrepareCommit => "PrepareCommit",
            PrepareAbort => "PrepareAbort",
            CompleteCommit => "CompleteCommit",
            CompleteAbort => "CompleteAbort",
        }
    }

    /// Decided, and not yet ended.
    pub fn is_prepared(self) -> bool {
        matches!(self, PrepareCommit | PrepareAbort)
    }

    /// Nothing is under way: the id may expire.
    pub fn is_idle(self) -> bool {
        matches!(self, Empty | CompleteCommit | CompleteAbort)
    }

    /// `TransactionState.validPreviousStates`.
    pub fn may_follow(self, previous: State) -> bool {
        match self {
            Empty => previous.is_idle(),
            Ongoing => previous == Ongoing || previous.is_idle(),
            PrepareCommit => previous == Ongoing,
            // KIP-890: a producer of version 2 may abort what has no partition.
            PrepareAbort => previous == Ongoing || previous.is_idle(),
            CompleteCommit => previous == PrepareCommit,
            CompleteAbort => previous == PrepareAbort,
        }
    }
}
