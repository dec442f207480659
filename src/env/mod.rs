//! The only doors to the operating system's time, files and entropy.
//!
//! Rules take `now` as an argument; shells hold a [`clock::Clock`] and pass it down. A test hands out a
//! manual clock and a seeded [`rng::Rng`], and nothing else changes.

pub mod clock;
pub mod deadlines;
#[cfg(test)]
pub mod faults;
pub mod fs;
pub mod host;
pub mod process;
pub mod rng;
pub mod temporary;
