//! Consumer groups of the new protocol (KIP-848), pure.
//!
//! [`assignment`] is who has which partitions; [`assignor`] says who should; [`regex`] are subscriptions by pattern.

pub mod assignment;
pub mod assignor;
pub mod regex;
