//! A member of a group as a state machine without a socket: it is told of answers and says what it does next.

pub mod classic;
pub mod consumer;

use std::time::Duration;

use crate::wire::Reader;

/// What a member does behind an answer.
pub enum Next {
    Send(Vec<u8>),
    /// [`Member::beat`] is due after that.
    Wait(Duration),
    /// It is in the group no longer.
    Left,
}

/// One request at a time is on its way.
pub trait Member {
    /// The request that joins.
    fn join(&mut self) -> Vec<u8>;

    /// The request that is due after [`Next::Wait`].
    fn beat(&mut self) -> Vec<u8>;

    /// The request that leaves; asked for when no other is on its way.
    fn leave(&mut self) -> Vec<u8>;

    /// Takes the answer to the last request, from behind the correlation id.
    fn answered(&mut self, answer: Reader<'_>) -> anyhow::Result<Next>;

    /// The generation or member epoch, and the partitions that the member has in it; `None` while it has to join.
    fn held(&self) -> Option<(i32, &[i32])>;
}
