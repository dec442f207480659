//! What regular expressions come to: when they are resolved, and kept as records so that every heartbeat sees the same
//! topics. Kafka: `maybeUpdateRegularExpressions`, `handleRegularExpressionsResult`.
//!
//! Kafka resolves on another thread, because its authorizer may be slow, and tells members at a later heartbeat. Here an
//! expression that is new to the group is resolved in the heartbeat that brings it; but a member that reads by name too
//! gets those topics first, as clients know it, and what the expression comes to with the next heartbeat of the group.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::draft::Draft;
use super::regex::TopicPattern;
use crate::coordinator::group::records::consumer::{ConsumerRecord, MemberMetadata, ResolvedRegex};
use crate::protocol::errors::ApiError;

/// Pause between two looks at all topics, however often topics are created.
const REFRESH_PAUSE_MS: i64 = 10_000;

impl Draft {
    /// Resolves the expression of a member, if its group does not know what it comes to, and forgets the one before, if
    /// it was the last to use it. Whether the member has another one than before.
    pub(super) fn update_regex(
        &mut self,
        before: &MemberMetadata,
        member_id: &str,
    ) -> Result<bool, ApiError> {
        let regex = self.group.member(member_id)?.metadata.regex().cloned();
        if regex.as_ref() == before.regex() {
            return Ok(false);
        }
        if let Some(old) = before.regex() {
            self.forget_unused(old);
        }
        if let Some(regex) = regex.filter(|regex| !self.group.regexes.contains_key(regex)) {
            let resolved = self.resolve(&regex)?;
            if self.group.member(member_id)?.metadata.subscribed_topics.is_empty() {
                self.write(ConsumerRecord::Regex(regex, Some(Arc::new(resolved))));
            }
        }
        Ok(true)
    }

    /// Resolves the expressions that an earlier heartbeat has left. Whether there is one.
    pub(super) fn resolve_left_regexes(&mut self) -> bool {
        if self.group.subscribed_regexes.len() == self.group.regexes.len() {
            return false;
        }
        let is_left = |regex: &&Arc<str>| !self.group.regexes.contains_key(*regex);
        let left: Vec<Arc<str>> = self.group.subscribed_regexes.keys().filter(is_left).cloned().collect();
        for regex in &left {
            // Kafka: one that another release has let pass, and is none here, names no topic.
            let resolved = self.resolve(regex).unwrap_or_else(|_| self.resolved_to(BTreeSet::new()));
            self.write(ConsumerRecord::Regex(regex.clone(), Some(Arc::new(resolved))));
        }
        !left.is_empty()
    }

    /// Resolves all expressions anew when topics were created since, or a long time has passed. Whether one of them
    /// comes to other topics.
    pub(super) fn refresh_regexes(&mut self) -> Result<bool, ApiError> {
        let resolved = || self.group.regexes.values();
        let oldest = resolved().map(|resolved| (resolved.timestamp, resolved.version));
        let Some((refreshed, version)) = oldest.min() else { return Ok(false) };
        let age_ms = self.now.wall.since(refreshed);
        let interval_ms = i64::from(self.settings.group_consumer_regex_refresh_interval_ms);
        let is_old = age_ms > interval_ms || version < self.topics.created_version();
        if age_ms <= REFRESH_PAUSE_MS || !is_old {
            return Ok(false);
        }
        // One that this heartbeat has brought is fresh.
        let older = self.group.regexes.iter().filter(|(_, resolved)| resolved.timestamp != self.now.wall);
        let known: Vec<_> = older.map(|(regex, resolved)| (regex.clone(), resolved.clone())).collect();
        let mut has_changed = false;
        for (regex, before) in known {
            // What another broker or release has taken may be refused here; its member keeps the topics it had.
            let resolved = self.resolve(&regex).unwrap_or_else(|_| self.resolved_to(before.topics.clone()));
            has_changed |= resolved.topics != before.topics;
            self.write(ConsumerRecord::Regex(regex, Some(Arc::new(resolved))));
        }
        Ok(has_changed)
    }

    /// Nobody reads by the expression any more.
    pub(super) fn forget_unused(&mut self, regex: &Arc<str>) {
        if self.group.regexes.contains_key(regex) && !self.group.subscribed_regexes.contains_key(regex) {
            self.write(ConsumerRecord::Regex(regex.clone(), None));
        }
    }

    fn resolve(&self, regex: &str) -> Result<ResolvedRegex, ApiError> {
        let pattern = TopicPattern::parse(regex)?;
        Ok(self.resolved_to(pattern.resolve(self.topics.names())))
    }

    fn resolved_to(&self, topics: BTreeSet<Arc<str>>) -> ResolvedRegex {
        ResolvedRegex { topics, version: self.topics.version(), timestamp: self.now.wall }
    }
}
