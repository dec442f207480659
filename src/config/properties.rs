//! Java's `.properties` syntax (`java.util.Properties.load`), as Kafka's own files are read.
//!
//! Pure, and total: any bytes give a map or one error that names the line. Comments begin with `#` or `!`; a
//! key ends at `=`, `:` or a blank; a backslash escapes, and at the end of a line continues it.

use std::collections::BTreeMap;

use crate::config::key::ConfigError;

/// Reads a whole file. A key that stands twice has its last value. Bytes that are not UTF-8 are Latin-1,
/// which is what Java takes every file for.
pub fn parse(bytes: &[u8]) -> Result<BTreeMap<String, String>, ConfigError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut properties = BTreeMap::new();
    let mut lines = Lines { text: &text, number: 0 };
    while let Some(line) = lines.next() {
        let start = line.trim_start_matches(is_blank);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let number = lines.number;
        let mut logical = start.to_owned();
        while ends_with_escape(&logical) {
            logical.pop();
            // Only a line that ends the file has no next one; its backslash is dropped.
            let Some(next) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        let (key, value) = split(&logical);
        let unescaped = |text| unescape(text).ok_or_else(|| malformed(number));
        properties.insert(unescaped(key)?, unescaped(value)?);
    }
    Ok(properties)
}

fn malformed(line: usize) -> ConfigError {
    ConfigError::Conflict(format!("line {line}: Malformed \\uxxxx encoding."))
}

/// Java's blanks inside a line.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

/// Lines ended by `\n`, `\r` or `\r\n`, counted from 1.
struct Lines<'a> {
    text: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        if self.text.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.text.find(['\n', '\r']).unwrap_or(self.text.len());
        let (line, rest) = self.text.split_at(end);
        self.text = rest.strip_prefix("\r\n").or(rest.strip_prefix(['\n', '\r'])).unwrap_or(rest);
        Some(line)
    }
}

/// An odd number of backslashes at the end: the last one is not escaped itself.
fn ends_with_escape(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// The key, and the value without the separator and the blanks around it.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, character)| {
            let ends = !escaped && (matches!(character, '=' | ':') || is_blank(*character));
            escaped = !escaped && *character == '\\';
            ends
        })
        .map_or(line.len(), |(index, _)| index);
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_blank))
}

/// `None` when a `\u` is not followed by four hexadecimal digits.
fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    // Escapes are UTF-16 units: two of them may make one character.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let character = match character {
            '\\' => match rest.next() {
                Some('u') => {
                    let digits = rest.as_str().get(..4)?;
                    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return None;
                    }
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    rest = rest.as_str()[4..].chars();
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            },
            plain => plain,
        };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        assert_eq!(parse(text.as_bytes()), Ok(expected), "{text:?}");
    }

    #[test]
    fn separators_comments_and_blanks() {
        check("a=1\nb:2\rc 3\r\nd\t=\t4\n", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        check("# a=1\n  ! b=2\n\n \t\n c = 3 \n", &[("c", "3 ")]);
        check("a==1\nb= :2\nc", &[("a", "=1"), ("b", ":2"), ("c", "")]);
        check("=1", &[("", "1")]);
        check("a=1\na=2", &[("a", "2")]);
        check("", &[]);
    }

    #[test]
    fn a_backslash_continues_a_line() {
        check("a=1,\\\n   2,\\\r\n\t3\nb=4", &[("a", "1,2,3"), ("b", "4")]);
        check("a=1\\\\\nb=2", &[("a", "1\\"), ("b", "2")]);
        check("a=1\\", &[("a", "1")]);
        check("a=\\\n# not a comment", &[("a", "# not a comment")]);
        check("# a comment is not continued\\\na=1", &[("a", "1")]);
    }

    #[test]
    fn escapes() {
        check("a\\=b=c\\td\\q\\\\", &[("a=b", "c\tdq\\")]);
        check("a\\ b\\:c=1", &[("a b:c", "1")]);
        check("a=\\u0041\\uD83D\\uDE00\\u00e9", &[("a", "A😀é")]);
        for text in ["a=\\u00", "a=\\uzzzz", "a=\\u+123", "\\u=1", "a=\\u12é4"] {
            let error = parse(format!("x=1\n{text}").as_bytes()).expect_err("malformed").to_string();
            assert_eq!(error, "line 2: Malformed \\uxxxx encoding.");
        }
    }

    #[test]
    fn other_bytes_are_latin_1() {
        let parsed = parse(b"a=\xe9").expect("any bytes parse");
        assert_eq!(parsed["a"], "é");
        check("\u{feff}a=é", &[("a", "é")]);
    }

    #[test]
    fn any_bytes_give_a_map_or_an_error() {
        // Every string of up to five of the characters that mean something, and two that do not.
        let alphabet = b"\\u0=: \n\r#\xe9a";
        let mut text = Vec::new();
        for length in 0..=5u32 {
            for mut index in 0..alphabet.len().pow(length) {
                text.clear();
                for _ in 0..length {
                    text.push(alphabet[index % alphabet.len()]);
                    index /= alphabet.len();
                }
                let _ = parse(&text);
            }
        }
    }
}
