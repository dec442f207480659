//! Fuzzing on stable Rust: a deterministic mutation engine, run for a while by every `cargo test`.
//!
//! A target is a closure that takes bytes and panics when a promise is broken. [`smoke`] replays the target's
//! regressions, then its corpus, then mutations of the corpus. Every input follows from the target's name
//! and its number, so a failure repeats; it is printed as a line for `fuzz/regressions.txt`, and belongs
//! there once it is understood.
//!
//! A room adds a target by a test that calls `smoke` from its own `tests` module, or from [`targets`].

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) mod memory;
mod mutate;
mod targets;

use mutate::Mutator;

/// Inputs that once broke a promise: the target's name, a blank, the input as hex.
static REGRESSIONS: &str = include_str!("fuzz/regressions.txt");

/// Runs a target over its regressions, its corpus and `iterations` mutations of the corpus.
///
/// # Panics
/// When the target panics: with the input as a regression line.
pub(crate) fn smoke(name: &str, corpus: &[Vec<u8>], iterations: u64, target: impl Fn(&[u8])) {
    for line in REGRESSIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (line_name, hex) = line.split_once(' ').expect("a regression is a name and hex");
        if line_name == name {
            run(name, "regression", &from_hex(hex), &target);
        }
    }
    for input in corpus {
        run(name, "corpus", input, &target);
    }
    let mut mutator = Mutator::new(corpus);
    for iteration in 0..iterations {
        let input = mutator.mutate(seed(name, iteration));
        run(name, "mutation", input, &target);
    }
}

fn run(name: &str, origin: &str, input: &[u8], target: &impl Fn(&[u8])) {
    // A target only reads the input; what else it holds is thrown away when it panics.
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("a {origin} broke a promise; its regression line:\n{name} {}", to_hex(input));
    }
}

/// FNV-1a over the name, so that targets do not walk the same path.
fn seed(name: &str, iteration: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.wrapping_add(iteration)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.is_ascii() && text.len().is_multiple_of(2), "a regression has two hex digits for each byte");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a regression is hex"))
        .collect()
}

#[test]
fn a_broken_promise_is_printed_as_its_regression_line() {
    let target = |input: &[u8]| assert!(input != [0xbe, 0xef], "no beef");
    let failure = catch_unwind(|| smoke("example", &[vec![0xbe, 0xef]], 0, target)).unwrap_err();
    let message = failure.downcast_ref::<String>().unwrap();
    assert!(message.ends_with("\nexample beef"), "{message}");
    assert_eq!(from_hex("beef"), [0xbe, 0xef]);
}

#[test]
fn the_same_run_sees_the_same_inputs() {
    let inputs = || {
        let seen = std::cell::RefCell::new(Vec::new());
        smoke("example", &[b"one input".to_vec(), b"another".to_vec()], 1000, |input| {
            seen.borrow_mut().push(input.to_vec());
        });
        seen.into_inner()
    };
    let first = inputs();
    assert_eq!(first, inputs());
    let distinct: std::collections::BTreeSet<_> = first.iter().collect();
    assert!(distinct.len() > 800, "only {} distinct inputs", distinct.len());
}
