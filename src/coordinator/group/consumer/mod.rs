//! Consumer groups of the new protocol (KIP-848), pure.
//!
//! [`assignment`] is who has which partitions; [`assignor`] says who should.

pub mod assignment;
pub mod assignor;
