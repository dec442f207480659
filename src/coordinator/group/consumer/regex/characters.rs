//! The character classes of RE2/J, cut down to ASCII: names of topics have no other characters, so what a class says
//! of those does not matter.

use std::ops::RangeInclusive;

/// A set of ASCII characters, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Characters(u128);

const LOWER: Characters = Characters::range('a', 'z');
const UPPER: Characters = Characters::range('A', 'Z');
const DIGITS: Characters = Characters::range('0', '9');
const LETTERS: Characters = LOWER.or(UPPER);
const WORD: Characters = LETTERS.or(DIGITS).or(Characters::of("_"));
const CONTROL: Characters = Characters::range('\0', '\x1f').or(Characters::of("\x7f"));
const GRAPHIC: Characters = Characters::range('!', '~');
const PUNCTUATION: Characters = GRAPHIC.and(LETTERS.or(DIGITS).not());

/// KELVIN SIGN and LATIN SMALL LETTER LONG S are, when case does not matter, K and S.
const KELVIN_SIGN: u32 = 0x212a;
const LONG_S: u32 = 0x17f;

impl Characters {
    pub const NONE: Characters = Characters(0);
    /// What `.` matches.
    pub const ANY: Characters = Characters(!0);

    const fn range(first: char, last: char) -> Characters {
        let width = last as u32 - first as u32 + 1;
        Characters((!0 >> (128 - width)) << first as u32)
    }

    /// The characters of an ASCII text.
    const fn of(text: &str) -> Characters {
        let bytes = text.as_bytes();
        let mut set = 0;
        let mut index = 0;
        while index < bytes.len() {
            set |= 1 << bytes[index];
            index += 1;
        }
        Characters(set)
    }

    pub const fn or(self, other: Characters) -> Characters {
        Characters(self.0 | other.0)
    }

    const fn and(self, other: Characters) -> Characters {
        Characters(self.0 & other.0)
    }

    pub const fn not(self) -> Characters {
        Characters(!self.0)
    }

    /// Letters in both cases.
    const fn folded(self) -> Characters {
        const CASE: u32 = 'a' as u32 - 'A' as u32;
        let lower = self.and(LOWER).0 >> CASE;
        let upper = self.and(UPPER).0 << CASE;
        Characters(self.0 | lower | upper)
    }

    /// The characters from one code point to another; `fold`: whatever their case.
    pub fn code_points(range: RangeInclusive<u32>, fold: bool) -> Characters {
        let (first, last) = (*range.start(), *range.end());
        let ascii = match (char::from_u32(first), char::from_u32(last.min(127))) {
            (Some(first), Some(last)) if first <= last => Characters::range(first, last),
            (Some(_) | None, Some(_) | None) => Characters::NONE,
        };
        if !fold {
            return ascii;
        }
        let kelvin = if range.contains(&KELVIN_SIGN) { Characters::of("k") } else { Characters::NONE };
        let long_s = if range.contains(&LONG_S) { Characters::of("s") } else { Characters::NONE };
        ascii.or(kelvin).or(long_s).folded()
    }

    /// A class such as `d` or `W`, after a backslash.
    pub fn perl(letter: char, fold: bool) -> Option<Characters> {
        let set = match letter.to_ascii_lowercase() {
            'd' => DIGITS,
            's' => Characters::of("\t\n\x0c\r "),
            'w' => WORD,
            _ => return None,
        };
        Some(set.grouped(letter.is_ascii_uppercase(), fold))
    }

    /// A class such as `alpha` or `^alpha`, between `[:` and `:]`.
    pub fn posix(name: &str, fold: bool) -> Option<Characters> {
        let (is_negated, name) = split_caret(name);
        let set = match name {
            "alnum" => LETTERS.or(DIGITS),
            "alpha" => LETTERS,
            "ascii" => Characters::ANY,
            "blank" => Characters::of("\t "),
            "cntrl" => CONTROL,
            "digit" => DIGITS,
            "graph" => GRAPHIC,
            "lower" => LOWER,
            "print" => Characters::range(' ', '~'),
            "punct" => PUNCTUATION,
            "space" => Characters::of("\t\n\x0b\x0c\r "),
            "upper" => UPPER,
            "word" => WORD,
            "xdigit" => DIGITS.or(Characters::of("abcdefABCDEF")),
            _ => return None,
        };
        Some(set.grouped(is_negated, fold))
    }

    fn grouped(self, is_negated: bool, fold: bool) -> Characters {
        let set = if fold { self.folded() } else { self };
        if is_negated { set.not() } else { set }
    }

    /// A Unicode category or script, as between `\p{` and `}`.
    pub fn unicode(name: &str, fold: bool) -> Option<Characters> {
        let (is_negated, name) = split_caret(name);
        let set = match name {
            "Any" => Characters::ANY,
            "C" | "Cc" => CONTROL,
            "L" | "Latin" => LETTERS,
            // RE2/J's tables have no more of the upper case than this.
            "Ll" if fold => LOWER.or(Characters::of("KS")),
            "Ll" => LOWER,
            "Lu" if fold => LETTERS,
            "Lu" => UPPER,
            "N" | "Nd" => DIGITS,
            "P" => PUNCTUATION.and(Characters::of("$+<=>^`|~").not()),
            "Pc" => Characters::of("_"),
            "Pd" => Characters::of("-"),
            "Pe" => Characters::of(")]}"),
            "Po" => Characters::of("!\"#%&'*,./:;?@\\"),
            "Ps" => Characters::of("([{"),
            "S" => Characters::of("$+<=>^`|~"),
            "Sc" => Characters::of("$"),
            "Sk" => Characters::of("^`"),
            "Sm" => Characters::of("+<=>|~"),
            "Z" | "Zs" => Characters::of(" "),
            "Common" => LETTERS.not(),
            _ if NOT_ASCII.split_whitespace().any(|other| other == name) => Characters::NONE,
            _ => return None,
        };
        Some(if is_negated { set.not() } else { set })
    }

    /// Appends the set in the syntax of the `regex` crate, without Unicode.
    pub fn write(self, output: &mut String) {
        match self.0.count_ones() {
            0 => output.push_str(r"[^\x00-\xff]"),
            1 => self.write_ranges(output),
            _ => {
                output.push('[');
                self.write_ranges(output);
                output.push(']');
            }
        }
    }

    fn write_ranges(self, output: &mut String) {
        let mut rest = self.0;
        while rest != 0 {
            let first = rest.trailing_zeros();
            let length = (rest >> first).trailing_ones();
            let last = first + length - 1;
            output.push_str(&format!(r"\x{first:02x}"));
            if length > 1 {
                output.push_str(&format!(r"-\x{last:02x}"));
            }
            rest &= (!0u128).checked_shl(last + 1).unwrap_or(0);
        }
    }
}

fn split_caret(name: &str) -> (bool, &str) {
    match name.strip_prefix('^') {
        Some(name) => (true, name),
        None => (false, name),
    }
}

/// RE2/J's other categories and scripts.
const NOT_ASCII: &str = "Cf Co Cs Lm Lo Lt M Mc Me Mn Nl No Pf Pi So Zl Zp
Arabic Armenian Avestan Balinese Bamum Batak Bengali Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian
Cham Cherokee Coptic Cuneiform Cypriot Cyrillic Deseret Devanagari Egyptian_Hieroglyphs Ethiopic Georgian Glagolitic
Gothic Greek Gujarati Gurmukhi Han Hangul Hanunoo Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi
Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kayah_Li Kharoshthi Khmer Lao Lepcha Limbu Linear_B Lisu Lycian
Lydian Malayalam Mandaic Meetei_Mayek Mongolian Myanmar New_Tai_Lue Nko Ogham Ol_Chiki Old_Italic Old_Persian
Old_South_Arabian Old_Turkic Oriya Osmanya Phags_Pa Phoenician Rejang Runic Samaritan Saurashtra Shavian Sinhala
Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Tamil Telugu Thaana Thai Tibetan Tifinagh
Ugaritic Unknown Vai Yi";
