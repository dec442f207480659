//! The answer to a submitted command: there at once where nothing has to wait, without a channel.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::protocol::errors::{ApiError, ErrorCode};

/// What a request came to.
pub type Answer<Response> = Result<Response, ApiError>;

/// A command's answer, now or later. Dropping it forgets the answer; the command takes effect.
pub struct Submitted<Response>(State<Response>);

enum State<Response> {
    Ready(Answer<Response>),
    Parked(oneshot::Receiver<Answer<Response>>),
    Taken,
}

impl<Response> Submitted<Response> {
    /// An answer without a coordinator.
    pub fn ready(answer: Answer<Response>) -> Submitted<Response> {
        Submitted(State::Ready(answer))
    }

    pub(super) fn parked(receiver: oneshot::Receiver<Answer<Response>>) -> Submitted<Response> {
        Submitted(State::Parked(receiver))
    }

    /// The answer if it is there, or the wait for it.
    pub fn now(self) -> Result<Answer<Response>, Submitted<Response>> {
        match self.0 {
            State::Ready(answer) => Ok(answer),
            parked @ (State::Parked(_) | State::Taken) => Err(Submitted(parked)),
        }
    }
}

/// Nothing in it is pinned.
impl<Response> Unpin for Submitted<Response> {}

impl<Response> Future for Submitted<Response> {
    type Output = Answer<Response>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Ready(answer) => Poll::Ready(answer),
            State::Parked(mut receiver) => match Pin::new(&mut receiver).poll(context) {
                Poll::Ready(answer) => {
                    // A sender that is dropped belongs to a broker that stops.
                    Poll::Ready(answer.unwrap_or_else(|_| Err(ErrorCode::NotCoordinator.into())))
                }
                Poll::Pending => {
                    self.0 = State::Parked(receiver);
                    Poll::Pending
                }
            },
            State::Taken => panic!("an answer is taken once"),
        }
    }
}
