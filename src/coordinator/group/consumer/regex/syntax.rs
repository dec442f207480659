//! Reads a pattern as RE2/J does and writes it in the syntax of the `regex` crate. Kafka: `com.google.re2j.Parser`.
//!
//! The crate descends from RE2 too, but takes and refuses other patterns: it has no `\Q..\E`; `\pN` is of a later
//! Unicode, `\d` and `\w` are Unicode; it knows `[a&&b]`, `[[a]b]`, `\<`, `(?x)`, and takes `a**`. So the pattern is
//! read here, with RE2/J's reasons for a refusal, and nothing of it is handed on but sets of characters, groups,
//! alternatives, repetitions and anchors. Lazy repetition, the flags `U`, `m` and `s`, and captures make no
//! difference to whether a name, which has no line breaks, matches as a whole, so they are read and not written.

use std::collections::BTreeSet;
use std::fmt;

use super::characters::Characters;

/// Why a pattern is refused, in RE2/J's words but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyntaxError {
    StrayParenthesis,
    CharacterRange,
    Escape,
    NamedCapture,
    DuplicateName,
    PerlSyntax,
    NestedRepetition,
    RepeatCount,
    MissingBracket,
    MissingParenthesis,
    MissingArgument,
    TrailingBackslash,
    TooLarge,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SyntaxError::StrayParenthesis => "regexp/syntax: internal error",
            SyntaxError::CharacterRange => "invalid character class range",
            SyntaxError::Escape => "invalid escape sequence",
            SyntaxError::NamedCapture => "invalid named capture",
            SyntaxError::DuplicateName => "duplicate capture group name",
            SyntaxError::PerlSyntax => "invalid or unsupported Perl syntax",
            SyntaxError::NestedRepetition => "invalid nested repetition operator",
            SyntaxError::RepeatCount => "invalid repeat count",
            SyntaxError::MissingBracket => "missing closing ]",
            SyntaxError::MissingParenthesis => "missing closing )",
            SyntaxError::MissingArgument => "missing argument to repetition operator",
            SyntaxError::TrailingBackslash => "trailing backslash at end of expression",
            SyntaxError::TooLarge => "expression is too large or nests too deeply",
        })
    }
}

type Result<T> = std::result::Result<T, SyntaxError>;

pub(super) fn translate(pattern: &str) -> Result<String> {
    let mut translator = Translator {
        rest: pattern,
        output: String::new(),
        fold: false,
        groups: Vec::new(),
        names: BTreeSet::new(),
        item: None,
    };
    let mut after_repetition = false;
    while !translator.rest.is_empty() {
        after_repetition = translator.token(after_repetition)?;
    }
    if translator.groups.is_empty() { Ok(translator.output) } else { Err(SyntaxError::MissingParenthesis) }
}

struct Translator<'a> {
    rest: &'a str,
    output: String,
    /// Case does not matter, as after `(?i)`.
    fold: bool,
    /// The groups that are open.
    groups: Vec<Group>,
    names: BTreeSet<&'a str>,
    /// What a repetition would repeat; nothing at the start of a group or alternative.
    item: Option<Item>,
}

struct Group {
    start: usize,
    /// What the group restores at its end.
    fold: bool,
}

struct Item {
    /// Where it starts in the output.
    start: usize,
    is_repeated: bool,
}

impl<'a> Translator<'a> {
    /// Reads one piece; returns whether the next one may not be a repetition.
    fn token(&mut self, after_repetition: bool) -> Result<bool> {
        let Some(next) = self.rest.chars().next() else { return Ok(after_repetition) };
        match next {
            '(' if self.rest.starts_with("(?") => self.perl_group()?,
            '(' => {
                self.pop();
                self.open_group();
            }
            '|' => {
                self.pop();
                self.output.push('|');
                self.item = None;
            }
            ')' => {
                self.pop();
                self.close_group()?;
            }
            '^' => {
                self.pop();
                self.push(r"\A");
            }
            '$' => {
                self.pop();
                self.push(r"\z");
            }
            '.' => {
                self.pop();
                self.push_characters(Characters::ANY);
            }
            '[' => {
                let characters = self.class()?;
                self.push_characters(characters);
            }
            '*' | '+' | '?' => {
                self.pop();
                self.repeat(next.encode_utf8(&mut [0; 4]), after_repetition)?;
                return Ok(true);
            }
            '{' => {
                self.counted_repetition(after_repetition)?;
                // RE2/J counts a brace that is no repetition as one.
                return Ok(true);
            }
            '\\' => self.escape()?,
            character => {
                self.pop();
                self.literal(character as u32);
            }
        }
        Ok(false)
    }

    fn pop(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn push(&mut self, item: &str) {
        self.item = Some(Item { start: self.output.len(), is_repeated: false });
        self.output.push_str(item);
    }

    fn push_characters(&mut self, characters: Characters) {
        self.push("");
        characters.write(&mut self.output);
    }

    fn literal(&mut self, code_point: u32) {
        self.push_characters(Characters::code_points(code_point..=code_point, self.fold));
    }

    fn open_group(&mut self) {
        self.groups.push(Group { start: self.output.len(), fold: self.fold });
        self.output.push_str("(?:");
        self.item = None;
    }

    fn close_group(&mut self) -> Result<()> {
        let group = self.groups.pop().ok_or(SyntaxError::StrayParenthesis)?;
        self.output.push(')');
        self.fold = group.fold;
        self.item = Some(Item { start: group.start, is_repeated: false });
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` or `(?flags:`
    fn perl_group(&mut self) -> Result<()> {
        if self.eat("(?P<") || self.eat("(?<") {
            let (name, rest) = self.rest.split_once('>').ok_or(SyntaxError::NamedCapture)?;
            if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
                return Err(SyntaxError::NamedCapture);
            }
            if !self.names.insert(name) {
                return Err(SyntaxError::DuplicateName);
            }
            self.rest = rest;
            self.open_group();
            return Ok(());
        }
        self.eat("(?");
        let (mut fold, mut is_negative, mut has_flag) = (self.fold, false, false);
        while let Some(character) = self.pop() {
            match character {
                'i' => (fold, has_flag) = (!is_negative, true),
                'm' | 's' | 'U' => has_flag = true,
                '-' if !is_negative => (is_negative, has_flag) = (true, false),
                ':' | ')' if has_flag || !is_negative => {
                    if character == ':' {
                        self.open_group();
                    }
                    self.fold = fold;
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(SyntaxError::PerlSyntax)
    }

    /// Repeats the last item, as `operator` says.
    fn repeat(&mut self, operator: &str, after_repetition: bool) -> Result<()> {
        self.eat("?");
        if after_repetition {
            return Err(SyntaxError::NestedRepetition);
        }
        let item = self.item.as_mut().ok_or(SyntaxError::MissingArgument)?;
        if item.is_repeated {
            // As `a+(?i)?`: next to each other the operators would be a lazy one.
            self.output.insert_str(item.start, "(?:");
            self.output.push(')');
        }
        item.is_repeated = true;
        self.output.push_str(operator);
        Ok(())
    }

    /// `{2}`, `{2,}` or `{2,3}`; anything else is a brace.
    fn counted_repetition(&mut self, after_repetition: bool) -> Result<()> {
        let whole = self.rest;
        self.pop();
        let Some((min, max)) = self.counts() else {
            self.rest = whole;
            self.pop();
            self.literal('{' as u32);
            return Ok(());
        };
        const MAX_COUNT: u32 = 1000;
        if min > MAX_COUNT || max.is_some_and(|max| max > MAX_COUNT || max < min) {
            return Err(SyntaxError::RepeatCount);
        }
        let max = max.map_or(String::new(), |max| max.to_string());
        self.repeat(&format!("{{{min},{max}}}"), after_repetition)
    }

    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let min = self.count()?;
        let max = match (self.eat(","), self.rest.starts_with('}')) {
            (false, _) => Some(min),
            (true, true) => None,
            (true, false) => Some(self.count()?),
        };
        self.eat("}").then_some((min, max))
    }

    /// A number without leading zeros; one that is too long is too large.
    fn count(&mut self) -> Option<u32> {
        let end = self.rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        Some(digits.parse().unwrap_or(u32::MAX))
    }

    /// What starts with a backslash outside of a class.
    fn escape(&mut self) -> Result<()> {
        if self.eat(r"\A") {
            self.push(r"\A");
        } else if self.eat(r"\z") {
            self.push(r"\z");
        } else if self.eat(r"\b") {
            self.push(r"\b");
        } else if self.eat(r"\B") {
            self.push(r"\B");
        } else if self.eat(r"\Q") {
            let (literals, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
            self.rest = rest;
            literals.chars().for_each(|character| self.literal(character as u32));
        } else if let Some(characters) = self.class_escape()? {
            self.push_characters(characters);
        } else {
            let code_point = self.escaped_code_point()?;
            self.literal(code_point);
        }
        Ok(())
    }

    /// `\d`, `\pN`, `\p{Greek}` and their like, in or outside of brackets.
    fn class_escape(&mut self) -> Result<Option<Characters>> {
        let Some(escaped) = self.rest.strip_prefix('\\') else { return Ok(None) };
        let Some(letter) = escaped.chars().next() else { return Ok(None) };
        if let Some(characters) = Characters::perl(letter, self.fold) {
            self.rest = &escaped[1..];
            return Ok(Some(characters));
        }
        if letter != 'p' && letter != 'P' {
            return Ok(None);
        }
        self.rest = &escaped[1..];
        let start = self.rest;
        let name = match self.pop() {
            Some('{') => {
                let (name, rest) = self.rest.split_once('}').ok_or(SyntaxError::CharacterRange)?;
                self.rest = rest;
                name
            }
            Some(character) => &start[..character.len_utf8()],
            None => return Err(SyntaxError::CharacterRange),
        };
        let characters = Characters::unicode(name, self.fold).ok_or(SyntaxError::CharacterRange)?;
        Ok(Some(if letter == 'P' { characters.not() } else { characters }))
    }

    /// A class in brackets.
    fn class(&mut self) -> Result<Characters> {
        self.eat("[");
        let is_negated = self.eat("^");
        let mut characters = Characters::NONE;
        let mut is_first = true;
        while is_first || !self.eat("]") {
            is_first = false;
            let part = match self.named_class()? {
                Some(named) => named,
                None => match self.class_escape()? {
                    Some(escaped) => escaped,
                    None => self.class_range()?,
                },
            };
            characters = characters.or(part);
        }
        Ok(if is_negated { characters.not() } else { characters })
    }

    /// `[:alpha:]`; without its end the bracket is a character.
    fn named_class(&mut self) -> Result<Option<Characters>> {
        let Some(name) = self.rest.strip_prefix("[:") else { return Ok(None) };
        let Some((name, rest)) = name.split_once(":]") else { return Ok(None) };
        self.rest = rest;
        Characters::posix(name, self.fold).map(Some).ok_or(SyntaxError::CharacterRange)
    }

    /// `a` or `a-z` in brackets.
    fn class_range(&mut self) -> Result<Characters> {
        let first = self.class_code_point()?;
        let mut last = first;
        if !self.rest.starts_with("-]") && self.eat("-") {
            last = self.class_code_point()?;
        }
        if last < first {
            return Err(SyntaxError::CharacterRange);
        }
        Ok(Characters::code_points(first..=last, self.fold))
    }

    fn class_code_point(&mut self) -> Result<u32> {
        if self.rest.starts_with('\\') {
            return self.escaped_code_point();
        }
        self.pop().map(u32::from).ok_or(SyntaxError::MissingBracket)
    }

    /// An escape that stands for one character.
    fn escaped_code_point(&mut self) -> Result<u32> {
        self.eat("\\");
        let character = self.pop().ok_or(SyntaxError::TrailingBackslash)?;
        match character {
            'a' => Ok(0x07),
            'f' => Ok(0x0c),
            'n' => Ok(0x0a),
            'r' => Ok(0x0d),
            't' => Ok(0x09),
            'v' => Ok(0x0b),
            'x' => self.hexadecimal(),
            '0' => Ok(self.octal(0)),
            // A single digit would be a reference to a group.
            '1'..='7' if self.rest.starts_with(|next: char| next.is_digit(8)) => {
                Ok(self.octal(u32::from(character) - u32::from('0')))
            }
            _ if character.is_ascii_alphanumeric() => Err(SyntaxError::Escape),
            _ => Ok(u32::from(character)),
        }
    }

    /// Up to two more octal digits.
    fn octal(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|next| next.to_digit(8)) else { break };
            self.pop();
            value = value * 8 + digit;
        }
        value
    }

    /// `41` or `{1F4A9}`, behind `\x`.
    fn hexadecimal(&mut self) -> Result<u32> {
        let digits = if self.eat("{") {
            let (digits, rest) = self.rest.split_once('}').ok_or(SyntaxError::Escape)?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or(SyntaxError::Escape)?;
            self.rest = rest;
            digits
        };
        let mut value = 0;
        for digit in digits.chars() {
            value = value * 16 + digit.to_digit(16).ok_or(SyntaxError::Escape)?;
            if value > u32::from(char::MAX) {
                return Err(SyntaxError::Escape);
            }
        }
        if digits.is_empty() { Err(SyntaxError::Escape) } else { Ok(value) }
    }
}
