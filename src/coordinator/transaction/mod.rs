//! Transactions: the rules of `__transaction_state`, pure.

pub mod command;
