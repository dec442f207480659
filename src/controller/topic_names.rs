//! Which names a topic may have (`org.apache.kafka.common.internals.Topic`). Pure.

use crate::protocol::errors::{ApiError, ErrorCode};

const MAX_NAME_LENGTH: usize = 249;

/// Kafka's own topics; clients may read them, not delete or alter them at will.
const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// INVALID_TOPIC_EXCEPTION with Kafka's sentence unless `name` may be a topic's name.
pub fn validate(name: &str) -> Result<(), ApiError> {
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        // Java counts UTF-16 units; only names that are refused anyway differ.
        _ if name.encode_utf16().count() > MAX_NAME_LENGTH => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_NAME_LENGTH}")
        }
        _ if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) => {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err(ApiError::new(ErrorCode::InvalidTopicException, format!("Topic name is invalid: {reason}")))
}

/// One of Kafka's own topics?
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// The form under which names collide, because metric names write `.` as `_`; `None` for names with neither.
pub(super) fn collision_key(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_in_kafkas_words() {
        let message = |name: &str| validate(name).unwrap_err().message.unwrap();
        assert_eq!(message(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(message(".."), "Topic name is invalid: '..' is not allowed");
        assert_eq!(
            message("a b"),
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        );
        assert!(message(&"x".repeat(250)).ends_with("is longer than the max allowed length 249"));
        assert!(validate(&"x".repeat(249)).is_ok());
        assert!(validate("Az09._-").is_ok());
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert_eq!(collision_key("a.b_c"), Some("a_b_c".to_owned()));
        assert_eq!(collision_key("abc"), None);
    }
}
