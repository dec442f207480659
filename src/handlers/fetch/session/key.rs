//! A partition as the key of a map, which is looked up by a borrowed name: a fetch that names what its session knows
//! copies nothing.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use crate::protocol::fetch::{TopicKey, TopicName};
use crate::protocol::ids::PartitionIndex;

/// What owned and borrowed keys have in common; equal and hashed by this alone.
pub trait PartitionKey {
    fn name(&self) -> (TopicName<'_>, PartitionIndex);
}

#[derive(Debug, PartialEq, Eq)]
pub struct OwnedKey {
    pub topic: TopicKey,
    pub partition: PartitionIndex,
}

impl PartitionKey for OwnedKey {
    fn name(&self) -> (TopicName<'_>, PartitionIndex) {
        (self.topic.as_name(), self.partition)
    }
}

impl PartitionKey for (TopicName<'_>, PartitionIndex) {
    fn name(&self) -> (TopicName<'_>, PartitionIndex) {
        *self
    }
}

impl<'a> Borrow<dyn PartitionKey + 'a> for OwnedKey {
    fn borrow(&self) -> &(dyn PartitionKey + 'a) {
        self
    }
}

impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialEq for dyn PartitionKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn PartitionKey + '_ {}

impl Hash for dyn PartitionKey + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}
