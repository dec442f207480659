//! Subscriptions by regular expression (KIP-848): which topics a pattern names. Kafka: `TopicRegexResolver`, and
//! `Utils.throwIfRegularExpressionIsInvalid`.
//!
//! The pattern is RE2, as Kafka's `com.google.re2j` 1.8 reads it, and must match the whole name. `syntax.rs` reads it
//! and writes it anew for the `regex` crate, which matches; `characters.rs` knows the classes. All topics are
//! candidates, internal ones too. Kafka then leaves out what the member's principal may not describe; where
//! no authorizer is configured that is nothing. Both are the caller's: names come in, names go out.
//!
//! Refused here and not by Kafka: patterns that compile to more than [`COMPILED_SIZE_LIMIT`], such as
//! `((a{1000}){1000}){1000}`, and those with more than some 80 groups inside one another, where the crate draws the line.
//! RE2/J has no limit but the memory of the broker.

mod characters;
mod syntax;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use ::regex::bytes::{Regex, RegexBuilder};

use self::syntax::SyntaxError;
use crate::protocol::errors::{ApiError, ErrorCode};

/// Bytes of a compiled pattern. Where the states of matching do not fit, a name costs as many steps as the pattern is
/// large for each of its bytes, and a heartbeat may look at all topics.
const COMPILED_SIZE_LIMIT: usize = 128 << 10;
/// Bytes of the states that matching makes from a pattern.
const STATES_SIZE_LIMIT: usize = 1 << 20;

/// A pattern that is known to be valid.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    regex: Regex,
}

impl TopicPattern {
    /// `INVALID_REGULAR_EXPRESSION` with Kafka's message for what is not a pattern.
    pub fn parse(pattern: &str) -> Result<TopicPattern, ApiError> {
        compile(pattern).map(|regex| TopicPattern { regex }).map_err(|reason| {
            let message =
                format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}.");
            ApiError::new(ErrorCode::InvalidRegularExpression, message)
        })
    }

    pub fn matches(&self, topic: &str) -> bool {
        self.regex.is_match(topic.as_bytes())
    }

    /// Those of the topics that the pattern names.
    pub fn resolve<'a>(&self, topics: impl IntoIterator<Item = &'a Arc<str>>) -> BTreeSet<Arc<str>> {
        topics.into_iter().filter(|topic| self.matches(topic)).cloned().collect()
    }
}

fn compile(pattern: &str) -> Result<Regex, SyntaxError> {
    let translated = syntax::translate(pattern)?;
    RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
        .unicode(false)
        .size_limit(COMPILED_SIZE_LIMIT)
        .dfa_size_limit(STATES_SIZE_LIMIT)
        .build()
        // What was translated is well formed, so that only its size or depth can be refused.
        .map_err(|_| SyntaxError::TooLarge)
}
