//! `meta.properties`: whose a log directory is. Kafka's keys (version 1, KIP-858) and one of ours. Pure text in and out.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use crate::protocol::ids::{BrokerId, Uuid, parse_uuid_text, uuid_text};

/// Says that the files follow this program's rules; a real Kafka's directory has no such key.
const OUR_KEY: &str = "klamm.version";
const OUR_VERSION: &str = "1";

/// Content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: BrokerId,
    pub directory_id: Uuid,
}

impl MetaProperties {
    pub fn to_text(&self) -> String {
        format!(
            "cluster.id={}\ndirectory.id={}\n{OUR_KEY}={OUR_VERSION}\nnode.id={}\nversion=1\n",
            self.cluster_id,
            uuid_text(self.directory_id),
            self.node_id
        )
    }

    /// Errors say what is wrong with the file; the caller names it.
    pub fn from_text(text: &str) -> anyhow::Result<MetaProperties> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let values: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
        let value = |key: &str| values.get(key).copied().with_context(|| format!("it has no {key}"));
        match values.get(OUR_KEY) {
            None => bail!("it was written by Apache Kafka or another program (it has no {OUR_KEY})"),
            Some(&OUR_VERSION) => {}
            Some(other) => bail!("{OUR_KEY} is {other}, this program reads {OUR_VERSION}"),
        }
        let node_id = value("node.id")?.parse().context("node.id is no number")?;
        let directory_id = parse_uuid_text(value("directory.id")?).context("directory.id is no UUID")?;
        Ok(MetaProperties {
            cluster_id: value("cluster.id")?.to_owned(),
            node_id: BrokerId(node_id),
            directory_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let meta = MetaProperties {
            cluster_id: "4L6g3nShT-eMCtK--X86sw".into(),
            node_id: BrokerId(3),
            directory_id: Uuid::from_u128(12),
        };
        assert_eq!(MetaProperties::from_text(&meta.to_text()).expect("read"), meta);
    }

    #[test]
    fn a_real_kafkas_file_is_refused() {
        let text = "#\n#Sat Nov 21 12:00:00 UTC 2026\nversion=1\nnode.id=1\n\
                    cluster.id=4L6g3nShT-eMCtK--X86sw\ndirectory.id=AAAAAAAAAAAAAAAAAAAADA\n";
        let error = MetaProperties::from_text(text).expect_err("not ours");
        assert!(error.to_string().contains("Apache Kafka"), "{error}");
    }
}
