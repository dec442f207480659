//! What a configuration key is: name, type, default, allowed values, class, and how a text becomes a value.
//!
//! The tables of keys stand in the sibling files; this one holds the rules they share. Pure: no IO, no
//! clock. Types, trimming and every sentence about a bad value are those of
//! `org.apache.kafka.common.config.ConfigDef`, because clients and tools print them.

use std::fmt;

use crate::config::value::{Value, java_trim, parse_double};

/// Type of a key's value (`ConfigDef.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Kind {
    /// Kafka's spelling, as it stands in its documentation and in "Not a number of type LONG".
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }

    /// The id in a DescribeConfigs answer (`DescribeConfigsResponse.ConfigType`).
    pub fn wire_id(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }
}

/// Which values of its type a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// A range of a DOUBLE, ends included.
    Ratio(f64, f64),
    /// `compression.gzip.level`: the library's default is -1, outside of its range of levels.
    GzipLevel,
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    /// Every element of a LIST is one of these.
    EachOneOf(&'static [&'static str]),
    NonEmpty,
    /// `*`, or `partition:broker` pairs (`ThrottledReplicaListValidator`).
    ThrottledReplicas,
    /// `earliest`, `latest` or `by_duration:<ISO-8601 duration>` (`ShareGroupAutoOffsetResetStrategy`).
    ShareOffsetReset,
}

/// What setting a key does in this build. Exactly one of three, for every key Kafka has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The value is checked and used.
    Applied,
    /// Nothing in this broker could use the value, whatever it is, and no promise depends on it. Setting it
    /// gives one warning with the reason.
    NoEffect(&'static str),
    /// Only the default is true of this build; any other value is refused with the reason.
    Refused(&'static str),
}

/// Whether and where a broker key changes without a restart (`DynamicBrokerConfig`, KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    ReadOnly,
    PerBroker,
    ClusterWide,
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As text, the way a file would spell it; `None` is Kafka's null.
    pub default: Option<&'static str>,
    pub check: Check,
    pub update: Update,
    pub class: Class,
    /// What the value does, in one sentence.
    pub doc: &'static str,
    /// Kafka knows the key and lists it nowhere (`defineInternal`).
    pub internal: bool,
}

/// Spells a table: `"name" => Type, default, check, update, class, "doc";`, where a default is a text or
/// `null`. A leading `internal` marks Kafka's unlisted keys.
macro_rules! keys {
    (@default null) => { None };
    (@default $text:expr) => { Some($text) };
    (@internal internal) => { true };
    (@internal) => { false };
    ($($($internal:ident)? $name:literal => $kind:ident, $default:tt, $check:expr, $update:ident, $class:expr,
       $doc:literal;)*) => {
        &[$($crate::config::key::Key {
            name: $name,
            kind: $crate::config::key::Kind::$kind,
            default: $crate::config::key::keys!(@default $default),
            check: $check,
            update: $crate::config::key::Update::$update,
            class: $class,
            doc: $doc,
            internal: $crate::config::key::keys!(@internal $($internal)?),
        }),*]
    };
}
pub(crate) use keys;

/// Why a value is not taken. `Display` is the whole line an operator or a client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The value breaks the rule of its key.
    Invalid { key: String, value: String, allowed: String },
    /// The value is a good one for Kafka and not for this build.
    Refused { key: String, value: String, reason: String },
    /// Values that are good one by one contradict each other, or a needed one is missing.
    Conflict(String),
}

impl ConfigError {
    pub fn invalid(key: &str, value: impl fmt::Display, allowed: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { key: key.to_owned(), value: value.to_string(), allowed: allowed.into() }
    }

    pub fn refused(key: &str, value: impl fmt::Display, reason: impl Into<String>) -> ConfigError {
        ConfigError::Refused { key: key.to_owned(), value: value.to_string(), reason: reason.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Invalid { key, value, allowed } => {
                write!(formatter, "Invalid value {value} for configuration {key}: {allowed}")
            }
            ConfigError::Refused { key, value, reason } => {
                write!(
                    formatter,
                    "Value {value} for configuration {key} is not supported by this build: {reason}"
                )
            }
            ConfigError::Conflict(sentence) => formatter.write_str(sentence),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Key {
    /// Whether the value is a secret: it is never logged and never sent back.
    pub fn sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// The default as a value. A table test holds that every default passes its own check.
    pub fn default_value(&self) -> Value {
        match self.default {
            None => Value::Null,
            Some(text) => self.read(text).expect("the table's defaults are values of their type"),
        }
    }

    /// Reads a text as this key's type, checks it, and refuses what this build cannot do.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let value = self.parse_as_kafka(text)?;
        match self.class {
            Class::Applied | Class::NoEffect(_) => Ok(value),
            Class::Refused(_) if value == self.default_value() => Ok(value),
            Class::Refused(reason) => Err(ConfigError::refused(self.name, self.shown(text), reason)),
        }
    }

    /// Reads and checks a text as Kafka would, whatever this build makes of the key.
    pub fn parse_as_kafka(&self, text: &str) -> Result<Value, ConfigError> {
        let value =
            self.read(text).map_err(|allowed| ConfigError::invalid(self.name, self.shown(text), allowed))?;
        self.check(&value)?;
        Ok(value)
    }

    /// A text fit for a message: secrets are hidden as Kafka's `Password.toString` hides them.
    fn shown<'a>(&self, text: &'a str) -> &'a str {
        if self.sensitive() { "[hidden]" } else { text }
    }

    /// The text as a value of the key's type (`ConfigDef.parseType`).
    fn read(&self, text: &str) -> Result<Value, String> {
        let trimmed = java_trim(text);
        let not_a_number = || format!("Not a number of type {}", self.kind.name());
        match self.kind {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err("Expected value to be either true or false".to_owned()),
            Kind::String | Kind::Class => Ok(Value::Text(trimmed.to_owned())),
            // A password keeps its spaces.
            Kind::Password => Ok(Value::Text(text.to_owned())),
            Kind::Short => {
                trimmed.parse().map(|number: i16| Value::Integer(number.into())).map_err(|_| not_a_number())
            }
            Kind::Int => {
                trimmed.parse().map(|number: i32| Value::Integer(number.into())).map_err(|_| not_a_number())
            }
            Kind::Long => trimmed.parse().map(Value::Integer).map_err(|_| not_a_number()),
            Kind::Double => parse_double(trimmed).map(Value::Double).ok_or_else(not_a_number),
            Kind::List if trimmed.is_empty() => Ok(Value::List(Vec::new())),
            Kind::List => {
                Ok(Value::List(trimmed.split(',').map(|item| java_trim(item).to_owned()).collect()))
            }
        }
    }

    fn check(&self, value: &Value) -> Result<(), ConfigError> {
        match self.violation(value) {
            None => Ok(()),
            Some(Violation::Empty) => {
                Err(ConfigError::Conflict(format!("Configuration '{}' values must not be empty.", self.name)))
            }
            Some(Violation::Value { shown, allowed }) => Err(ConfigError::invalid(self.name, shown, allowed)),
        }
    }

    /// What is wrong with a value of the right type. Null is never wrong.
    fn violation(&self, value: &Value) -> Option<Violation> {
        let at_least = |least: i64| {
            let number = value.integer().filter(|number| *number < least)?;
            Some(Violation::value(number, format!("Value must be at least {least}")))
        };
        let items = value.list().unwrap_or_default();
        if items.iter().any(String::is_empty) {
            return Some(Violation::Empty);
        }
        match self.check {
            Check::Any => None,
            Check::AtLeast(least) => at_least(least),
            Check::Between(least, most) => at_least(least).or_else(|| {
                let number = value.integer().filter(|number| *number > most)?;
                Some(Violation::value(number, format!("Value must be no more than {most}")))
            }),
            Check::Ratio(least, most) => {
                let number = value.double().filter(|number| !(least..=most).contains(number))?;
                // NaN, which Kafka lets pass, is not at least anything.
                let bound =
                    if number > most { format!("no more than {most}") } else { format!("at least {least}") };
                Some(Violation::value(value, format!("Value must be {bound}")))
            }
            Check::GzipLevel => {
                let level = value.integer().filter(|level| *level != -1 && !(1..=9).contains(level))?;
                Some(Violation::value(level, "Value must be between 1 and 9 or equal to -1"))
            }
            Check::OneOf(allowed) => {
                let text = value.text().filter(|text| !allowed.contains(text))?;
                Some(Violation::value(text, format!("String must be one of: {}", allowed.join(", "))))
            }
            Check::OneOfIgnoringCase(allowed) => {
                let known = |text: &str| allowed.iter().any(|one| one.eq_ignore_ascii_case(text));
                let text = value.text().filter(|text| !known(text))?;
                let allowed = allowed.join(", ");
                Some(Violation::value(text, format!("String must be one of (case insensitive): {allowed}")))
            }
            Check::EachOneOf(allowed) => {
                let item = items.iter().find(|item| !allowed.contains(&item.as_str()))?;
                Some(Violation::value(item, format!("String must be one of: {}", allowed.join(", "))))
            }
            Check::NonEmpty => {
                let text = value.text().filter(|text| text.is_empty())?;
                Some(Violation::value(text, "String must be non-empty"))
            }
            Check::ThrottledReplicas if is_throttled_replicas(items) => None,
            Check::ThrottledReplicas => Some(Violation::value(
                format_args!("[{}]", items.join(", ")),
                format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    self.name
                ),
            )),
            Check::ShareOffsetReset => {
                let text = value.text().filter(|text| !is_share_offset_reset(text))?;
                let sentence = format!(
                    "Invalid value `{text}` for configuration {}. The value must be either 'earliest', \
                     'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
                    self.name
                );
                Some(Violation::value(text, sentence))
            }
        }
    }
}

/// How a value breaks its key's check.
enum Violation {
    /// A list has an empty element.
    Empty,
    Value {
        shown: String,
        allowed: String,
    },
}

impl Violation {
    fn value(shown: impl fmt::Display, allowed: impl Into<String>) -> Violation {
        Violation::Value { shown: shown.to_string(), allowed: allowed.into() }
    }
}

fn is_throttled_replicas(items: &[String]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match items {
        [] => true,
        [all] if all == "*" => true,
        pairs => pairs.iter().all(|pair| {
            pair.split_once(':').is_some_and(|(partition, broker)| number(partition) && number(broker))
        }),
    }
}

/// Durations are checked in their common form: `P`, days, `T`, hours, minutes, seconds with a fraction.
fn is_share_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => is_duration(duration),
        None => text == "earliest" || text == "latest",
    }
}

fn is_duration(text: &str) -> bool {
    let Some(body) = text.strip_prefix('P') else { return false };
    let (days, time) = body.split_once('T').map_or((body, None), |(days, time)| (days, Some(time)));
    let amounts = |mut rest: &str, units: &[char]| {
        let mut seen = 0;
        for unit in units {
            if let Some((amount, after)) = rest.split_once(*unit) {
                let fraction = *unit == 'S' && amount.matches('.').count() == 1 && !amount.starts_with('.');
                let digits = amount.bytes().all(|byte| byte.is_ascii_digit() || (fraction && byte == b'.'));
                if amount.is_empty() || !digits {
                    return None;
                }
                seen += 1;
                rest = after;
            }
        }
        rest.is_empty().then_some(seen)
    };
    let counts = (amounts(days, &['D']), time.map(|time| amounts(time, &['H', 'M', 'S'])));
    match counts {
        (Some(days), None) => days > 0,
        (Some(_), Some(Some(times))) => times > 0,
        (None, _) | (_, Some(None)) => false,
    }
}
