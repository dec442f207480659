//! The wire and the record format as pure functions over bytes. Uses nothing else of this crate.

pub mod batch;
pub mod errors;
pub mod ids;
pub mod shapes;
