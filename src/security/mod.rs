//! What clients may use and who they are: quotas and credentials, as rules.
//!
//! Pure: no clock, no IO, no lock. Time is an argument, in milliseconds of a clock that does not go back. Who keeps the
//! state and mutes a connection is `handlers::quotas`, what is stored is the controller's.

pub mod entity;
pub mod limits;
pub mod principal;
pub mod rate;
pub mod scram;
