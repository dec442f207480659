//! Keys of Klamm's own, all under `klamm.`. Kafka does not know them, so no DescribeConfigs lists them.

use crate::config::key::Check::{Any, AtLeast};
use crate::config::key::Class::Applied;
use crate::config::key::{Key, keys};

pub static KEYS: &[Key] = keys! {
    internal "klamm.http.listener" => String, null, Any, ReadOnly, Applied,
        "Address of the HTTP listener for metrics and health, as host:port; unset, there is none.";
    internal "klamm.request.max.bytes" => Int, "8388608", AtLeast(1024), ReadOnly, Applied,
        "Largest request that is not a Produce; socket.request.max.bytes bounds those.";
};
