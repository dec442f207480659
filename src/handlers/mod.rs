//! One file per message of the protocol, and the table that serves them.

pub mod reply;
