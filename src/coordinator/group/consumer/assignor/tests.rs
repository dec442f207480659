//! The assignors as stories, and what holds of every assignment.

mod properties;
mod stories;
