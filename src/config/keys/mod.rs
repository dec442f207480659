//! The tables: one row a key, sorted by name inside a file. Data only; the rules stand in `config::key`.

pub mod topic;
