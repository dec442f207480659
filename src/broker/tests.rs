//! The broker over its socket: a raw client that says what it likes, against a broker of this process.

mod admin;
mod answers;
mod bad_input;
mod client;
mod compacting;
mod consumer_groups;
mod durability;
mod fetching;
mod first_appends;
mod groups;
mod message_sets;
mod metrics;
mod moves;
mod offsets;
mod old_versions;
mod producing;
mod quotas;
mod refusals;
mod releases;
mod repeats;
mod topics;
mod transactional_ids;
mod transactional_offsets;
mod transactions;
mod versions;

use super::Broker;
use crate::config::load::Settings;
use client::Client;

/// A broker on a free port with its data in a directory of its own.
struct Fixture {
    directory: tempfile::TempDir,
    overrides: Vec<(String, String)>,
    as_version: Option<String>,
    broker: Option<Broker>,
}

impl Fixture {
    fn start() -> Fixture {
        Fixture::start_with(&[])
    }

    fn start_with(overrides: &[(&str, &str)]) -> Fixture {
        Fixture::start_as(None, overrides)
    }

    fn start_as(as_version: Option<&str>, overrides: &[(&str, &str)]) -> Fixture {
        let mut fixture = Fixture {
            directory: tempfile::tempdir().unwrap(),
            overrides: overrides.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            as_version: as_version.map(str::to_owned),
            broker: None,
        };
        fixture.broker = Some(Broker::start(fixture.settings()).unwrap());
        fixture
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings { as_version: self.as_version.clone(), ..Settings::default() };
        let data = self.directory.path().join("data");
        let own = [
            ("node.id", "1"),
            ("process.roles", "broker,controller"),
            ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("log.dirs", &data.to_string_lossy()),
        ];
        for (key, value) in own {
            settings.properties.insert(key.to_owned(), value.to_owned());
        }
        settings.properties.extend(self.overrides.iter().cloned());
        settings
    }

    /// Stops the broker in order and starts it again on the same data.
    fn restart(&mut self) {
        self.broker.take().unwrap().stop().unwrap();
        self.broker = Some(Broker::start(self.settings()).unwrap());
    }

    fn client(&self) -> Client {
        Client::connect(self.broker.as_ref().unwrap().addresses()[0].address)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stop().unwrap();
        }
    }
}
