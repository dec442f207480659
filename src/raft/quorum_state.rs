//! The file `quorum-state`: what raft must remember besides its log. The vote keeps a node from voting twice
//! in a term; the purged position says where the log begins. Kafka keeps its vote in a file of the same name.

use std::path::Path;

use anyhow::{Context, bail};

use crate::env::fs;
use crate::protocol::ids::BrokerId;
use crate::raft::types::{LeaderId, LogId, Vote, log_id};

const FILE_NAME: &str = "quorum-state";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumState {
    pub vote: Option<Vote>,
    /// The last entry that was taken out of the log because a snapshot holds it.
    pub purged: Option<LogId>,
}

impl QuorumState {
    /// What stands in `directory`; `None` where nothing was ever saved. A damaged file is an error: raft with a
    /// forgotten vote may lose what was committed.
    pub fn load(directory: &Path) -> anyhow::Result<Option<QuorumState>> {
        let path = directory.join(FILE_NAME);
        let Some(bytes) = fs::read_file(&path).with_context(|| format!("read {}", path.display()))? else {
            return Ok(None);
        };
        let state = QuorumState::parse(&bytes).with_context(|| format!("parse {}", path.display()))?;
        Ok(Some(state))
    }

    /// Durable when it returns: temporary file, fsync, rename, fsync of the directory.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        let path = directory.join(FILE_NAME);
        fs::replace_file(&path, &self.to_bytes()).with_context(|| format!("write {}", path.display()))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::from("version=1\n");
        if let Some(vote) = &self.vote {
            let LeaderId { term, voted_for } = vote.leader_id();
            text +=
                &format!("vote.term={term}\nvote.for={voted_for}\nvote.committed={}\n", vote.is_committed());
        }
        if let Some(purged) = &self.purged {
            text += &format!("purged.index={}\npurged.term={}\n", purged.index, purged.leader_id.term);
        }
        text += &format!("crc={:08x}\n", crc32c::crc32c(text.as_bytes()));
        text.into_bytes()
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<QuorumState> {
        let text = std::str::from_utf8(bytes).context("read as text")?;
        let checked = text.rfind("crc=").context("find the checksum")?;
        if text[checked..] != format!("crc={:08x}\n", crc32c::crc32c(&bytes[..checked])) {
            bail!("the checksum does not fit");
        }
        let value =
            |key: &str| text[..checked].lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        if value("version") != Some("1") {
            bail!("version {:?} is not 1", value("version"));
        }
        let vote = match (value("vote.term"), value("vote.for"), value("vote.committed")) {
            (Some(term), Some(voted_for), Some(committed)) => {
                let leader_id = LeaderId { term: term.parse()?, voted_for: BrokerId(voted_for.parse()?) };
                Some(Vote { leader_id, committed: committed.parse()? })
            }
            (None, None, None) => None,
            _ => bail!("half a vote"),
        };
        let purged = match (value("purged.index"), value("purged.term")) {
            (Some(index), Some(term)) => Some(log_id(term.parse()?, index.parse()?)),
            (None, None) => None,
            _ => bail!("half a purged position"),
        };
        Ok(QuorumState { vote, purged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> QuorumState {
        let leader_id = LeaderId { term: 7, voted_for: BrokerId(3) };
        QuorumState { vote: Some(Vote { leader_id, committed: true }), purged: Some(log_id(6, 41)) }
    }

    #[test]
    fn comes_back_as_it_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(QuorumState::load(directory.path()).unwrap(), None);
        for state in [QuorumState::default(), state()] {
            state.save(directory.path()).unwrap();
            assert_eq!(QuorumState::load(directory.path()).unwrap(), Some(state));
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_forgotten_vote() {
        let bytes = state().to_bytes();
        for size in 0..bytes.len() {
            assert!(QuorumState::parse(&bytes[..size]).is_err(), "cut at {size}");
        }
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert!(QuorumState::parse(&damaged).is_err(), "flipped at {position}");
        }
    }
}
