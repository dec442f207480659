//! One coordinator topic as the metadata has it: leads what this broker is to lead, resigns from the rest, forgets a topic
//! that is gone.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::coordinator::runtime::Runtime;
use crate::coordinator::shard::Shard;
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId};
use crate::replication::registry::Registry;
use crate::store::CoordinatorTopic;

/// The coordinators of one topic, and what they lead.
pub struct Followed<S: Shard> {
    me: BrokerId,
    topic: CoordinatorTopic,
    replicas: Arc<Registry>,
    runtime: Arc<Runtime<S>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The logs are open.
    has_started: bool,
    led: Option<(TopicId, HashSet<PartitionIndex>)>,
}

impl<S: Shard> Followed<S> {
    pub fn new(
        me: BrokerId,
        topic: CoordinatorTopic,
        replicas: Arc<Registry>,
        runtime: Arc<Runtime<S>>,
    ) -> Followed<S> {
        Followed { me, topic, replicas, runtime, state: Mutex::default() }
    }

    pub fn runtime(&self) -> &Arc<Runtime<S>> {
        &self.runtime
    }

    /// The logs are open: begins to lead, and to fire deadlines on `control`.
    pub fn start(&self, control: &Handle) {
        self.state.lock().has_started = true;
        self.follow();
        control.spawn(self.runtime.clone().run_deadlines());
    }

    /// Leads what the newest metadata says, and nothing else.
    pub fn follow(&self) {
        let mut state = self.state.lock();
        if !state.has_started {
            return;
        }
        let image = self.replicas.image();
        let topic = image.topic(self.topic.name());
        if let Some((id, partitions)) = &state.led
            && topic.is_none_or(|topic| topic.id != *id)
        {
            partitions.iter().for_each(|partition| self.runtime.forget(*partition));
            state.led = None;
        }
        let Some(topic) = topic else { return };
        let (_, led) = state.led.get_or_insert_with(|| (topic.id, HashSet::new()));
        for (index, partition) in topic.partitions.iter().enumerate() {
            let index = PartitionIndex(index as i32);
            if partition.leader == self.me {
                led.insert(index);
                self.runtime.lead(index, partition.leader_epoch);
            } else if led.remove(&index) {
                self.runtime.resign(index);
            }
        }
    }

    /// Resigns from everything. Blocking.
    pub fn stop(&self) {
        self.state.lock().has_started = false;
        self.runtime.resign_all();
    }
}
