//! Sockets and frames: listeners, worker threads, connections.
//!
//! Architecture invariant: nothing here knows what a request means. A frame goes to the worker's
//! [`Service`](crate::handlers::reply::Service), what comes back leaves in order. No request hops threads: a
//! connection changes its worker between requests only. Nothing ticks while no client talks.

pub mod balance;
pub mod budget;
pub mod buffers;
pub mod connection;
pub mod listener;
pub mod receive;
pub mod replies;
pub mod send;
pub mod server;
pub mod worker;

#[cfg(test)]
mod tests;
