//! The tables: one row a key, sorted by name inside a file. Data only; the rules stand in `config::key`.

pub mod broker_cluster;
pub mod broker_dynamic;
pub mod broker_group;
pub mod broker_log;
pub mod broker_net;
pub mod broker_remote;
pub mod broker_security;
pub mod broker_share;
pub mod client_metrics;
pub mod group;
pub mod own;
pub mod reasons;
pub mod topic;
