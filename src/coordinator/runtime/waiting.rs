//! Those who wait for the log to be committed, and what leaves when the lock of a partition is released.

use tokio::sync::oneshot;

use super::submitted::Answer;
use crate::coordinator::shard::{RequestId, Shard};
use crate::protocol::ids::Offset;

/// An answer on its way to whoever waits for it.
pub(super) type Sent<T> = (oneshot::Sender<Answer<T>>, Answer<T>);
type Answers<S> = Vec<(RequestId, Answer<<S as Shard>::Response>)>;

/// What waits until the log is committed up to a position.
pub(super) struct Waiting<S: Shard> {
    pub at: Offset,
    /// On the monotonic clock; from then on the answers are an error.
    pub deadline_ms: i64,
    pub answers: Answers<S>,
    pub on_committed: Option<S::Command>,
    pub effects: Vec<S::Effect>,
    pub told: Option<oneshot::Sender<Answer<()>>>,
}

impl<S: Shard> Waiting<S> {
    /// Nobody waits for `at` yet.
    pub fn silent(at: Offset) -> Waiting<S> {
        Waiting {
            at,
            deadline_ms: i64::MAX,
            answers: Vec::new(),
            on_committed: None,
            effects: Vec::new(),
            told: None,
        }
    }

    /// Nobody waits with it.
    pub fn is_silent(&self) -> bool {
        self.answers.is_empty() && self.told.is_none()
    }

    /// Something follows, however late.
    pub fn has_more(&self) -> bool {
        self.on_committed.is_some() || !self.effects.is_empty()
    }
}

/// What leaves when the lock is released.
pub(super) struct Turn<S: Shard> {
    /// The request of the thread that has the turn.
    pub own: Option<(RequestId, Option<Answer<S::Response>>)>,
    pub answers: Vec<Sent<S::Response>>,
    pub told: Vec<Sent<()>>,
    /// To be begun.
    pub effects: Vec<S::Effect>,
}

impl<S: Shard> Turn<S> {
    pub fn begin() -> Turn<S> {
        Turn { own: None, answers: Vec::new(), told: Vec::new(), effects: Vec::new() }
    }

    /// What is committed and to be begun.
    pub fn take_effects(&mut self) -> Vec<S::Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Sends what others wait for; those who do not wait any more do not mind.
    pub fn end(self) {
        for (sender, answer) in self.answers {
            let _ = sender.send(answer);
        }
        for (sender, answer) in self.told {
            let _ = sender.send(answer);
        }
    }
}
