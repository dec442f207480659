//! Patterns and what they name, in `patterns.txt`: a pattern, an arrow, the topics or the reason of the refusal.
//! `KLAMM_BLESS=1` writes what happens into the file; a reader judges the difference.

use std::path::Path;
use std::sync::Arc;

use super::{TopicPattern, compile};

const TOPICS: [&str; 21] = [
    "orders",
    "orders-1",
    "orders-22",
    "orders.eu",
    "Orders",
    "ORDERS-1",
    "payments_eu",
    "__consumer_offsets",
    "a",
    "b",
    "aa",
    "aab",
    "abab",
    "k",
    "K",
    "s",
    "S",
    "7",
    "1-2",
    "a.b",
    "Z_9",
];

fn tell(pattern: &str) -> String {
    match compile(pattern) {
        Ok(regex) => {
            let pattern = TopicPattern { regex };
            let named: Vec<&str> = TOPICS.into_iter().filter(|topic| pattern.matches(topic)).collect();
            if named.is_empty() { "nothing".to_owned() } else { named.join(" ") }
        }
        Err(reason) => format!("refused: {reason}"),
    }
}

#[test]
fn patterns_name_what_they_are_told_to() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join("src/coordinator/group/consumer/regex/patterns.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = |line: &str| match line.split_once(" => ") {
        Some((pattern, _)) => format!("{pattern} => {}\n", tell(pattern)),
        None => format!("{line}\n"),
    };
    let told: String = text.lines().map(line).collect();
    if std::env::var_os("KLAMM_BLESS").is_some() {
        std::fs::write(&path, told).unwrap();
    } else {
        assert!(told == text, "patterns name otherwise:\n{told}");
    }
}

#[test]
fn a_refusal_has_kafkas_message() {
    let error = TopicPattern::parse("orders[").unwrap_err();
    assert_eq!(error.code.code(), 128);
    assert_eq!(
        error.message.unwrap(),
        "SubscribedTopicRegex `orders[` is not a valid regular expression: missing closing ]."
    );
}

#[test]
fn a_pattern_resolves_to_names() {
    let topics = TOPICS.map(Arc::<str>::from);
    let resolved = TopicPattern::parse("a.*").unwrap().resolve(&topics);
    let resolved: Vec<&str> = resolved.iter().map(|topic| &**topic).collect();
    assert_eq!(resolved, ["a", "a.b", "aa", "aab", "abab"]);
}

#[test]
fn hostile_patterns_are_refused_in_bounded_memory() {
    let nested = format!("{}a{}", "(".repeat(16_000), ")".repeat(16_000));
    let repeated = "((((a{1000}){1000}){1000}){1000}){1000}";
    let alternatives = "(a|b|c|d){1000}{0,1000}|".repeat(1000);
    for pattern in [nested.as_str(), repeated, &"(a{0,1000}b{0,1000}){0,1000}".repeat(1000), &alternatives] {
        assert!(TopicPattern::parse(pattern).is_err());
    }
    // Deep, but not too deep; long, but flat.
    assert!(TopicPattern::parse(&format!("{}a{}", "(a|".repeat(80), "b)".repeat(80))).is_ok());
    assert!(TopicPattern::parse(&"orders-[0-9]+|".repeat(200)).is_ok());
    assert!(TopicPattern::parse("[a-z]{1,249}").unwrap().matches("orders"));
}

/// Whatever the bytes, there is an answer; and what RE2/J would take is well formed when written anew.
#[test]
fn random_patterns_never_panic() {
    const PIECES: [&str; 40] = [
        "a",
        "b",
        "k",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        "*",
        "+",
        "?",
        "^",
        "$",
        ".",
        "\\",
        "-",
        "1",
        "2",
        ",",
        ":",
        "(?i)",
        "(?:",
        "(?P<n>",
        "\\d",
        "\\W",
        "\\pL",
        "\\p{Greek}",
        "[:alpha:]",
        "\\Q",
        "\\E",
        "\\x4",
        "\\x{61}",
        "é",
        "\u{212a}",
        "{2}",
        "{1,3}",
        "<",
        "&&",
    ];
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let pattern: String = (0..random.usize(1..12)).map(|_| random.choice(PIECES).unwrap()).collect();
        if let Err(reason) = compile(&pattern) {
            assert_ne!(reason, super::SyntaxError::TooLarge, "{pattern} (seed {seed})");
        }
    }
}
