//! A configuration value of some type: read from text as Java reads it, printed as Java prints it.
//!
//! Pure. DescribeConfigs answers are compared as text by tools and tests, so a double is printed like
//! `Double.toString` and a list is joined with a bare comma (`ConfigDef.convertToString`).

use std::fmt;

/// A value that has its key's type and has passed its key's check.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    /// SHORT, INT and LONG; the key's type has bounded it.
    Integer(i64),
    Double(f64),
    /// STRING, CLASS and PASSWORD.
    Text(String),
    List(Vec<String>),
}

impl Value {
    pub fn integer(&self) -> Option<i64> {
        if let Value::Integer(number) = self { Some(*number) } else { None }
    }

    pub fn double(&self) -> Option<f64> {
        if let Value::Double(number) = self { Some(*number) } else { None }
    }

    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub fn list(&self) -> Option<&[String]> {
        if let Value::List(items) = self { Some(items) } else { None }
    }

    /// The text Kafka sends for the value; `None` is null.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::Boolean(_) | Value::Integer(_) | Value::Double(_) | Value::Text(_) | Value::List(_) => {
                Some(self.to_string())
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => formatter.write_str("null"),
            Value::Boolean(flag) => flag.fmt(formatter),
            Value::Integer(number) => number.fmt(formatter),
            Value::Double(number) => formatter.write_str(&double_text(*number)),
            Value::Text(text) => formatter.write_str(text),
            Value::List(items) => formatter.write_str(&items.join(",")),
        }
    }
}

/// A Rust type that a typed configuration field may have.
pub trait FromValue: Sized {
    /// `None` when the value does not fit: the table and the typed field disagree.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! from_integer {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Option<Self> {
                value.integer()?.try_into().ok()
            }
        }
    )*};
}
from_integer!(i16, i32, i64, u32, u64, usize);

macro_rules! from_variant {
    ($($variant:ident => $type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Option<Self> {
                if let Value::$variant(inner) = value { Some(inner) } else { None }
            }
        }
    )*};
}
from_variant!(Boolean => bool, Double => f64, Text => String, List => Vec<String>);

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

/// `String.trim`: every character up to U+0020 goes, nothing else.
pub fn java_trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

/// `Double.parseDouble`, without its hexadecimal form.
pub fn parse_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => return Some(f64::NAN),
        "Infinity" | "+Infinity" => return Some(f64::INFINITY),
        "-Infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust's parser also takes "inf" and "nan" in any case, which Java does not.
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b'e' | b'E');
    if digits.bytes().all(numeric) { digits.parse().ok() } else { None }
}

/// `Double.toString`: plain between 10^-3 and 10^7, otherwise `d.dddE±n`, with a digit after the point.
fn double_text(number: f64) -> String {
    let magnitude = number.abs();
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        format!("{number:?}")
    } else {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
            Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_read_and_print_like_javas() {
        let texts = [
            "0.5",
            "0.0",
            "1.0E7",
            "1.0E-4",
            "1.7976931348623157E308",
            "9999999.0",
            "0.001",
            "NaN",
            "-Infinity",
        ];
        for text in texts {
            assert_eq!(double_text(parse_double(text).expect("reads")), text);
        }
        assert_eq!(parse_double("0.5f"), Some(0.5));
        for text in ["", "inf", "nan", "infinity", "1_0", "e", "0x1p3"] {
            assert_eq!(parse_double(text), None, "{text}");
        }
    }

    #[test]
    fn only_ascii_blanks_are_trimmed() {
        assert_eq!(java_trim(" \t\u{1}5\r\n"), "5");
        assert_eq!(java_trim("\u{a0}5"), "\u{a0}5");
    }
}
