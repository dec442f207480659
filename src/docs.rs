//! README.md and the crate's own documentation, held against the code: the API table, the rooms, the
//! dependencies, the KIP index.
//!
//! The API table is written by this file: `KLAMM_BLESS=1 cargo test --lib docs::` puts it into README.md.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::handlers::table::{APIS, Api};
use crate::tidy::LAYERS;

const API_TABLE_BEGINS: &str = "<!-- the API table";
const API_TABLE_ENDS: &str = "<!-- end of the API table";
const KIP_INDEX_BEGINS: &str = "# KIP index";
const KNOWN_BY_NAME_BEGINS: &str = "# KIPs known by name only";

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    std::fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("read {relative}: {error}"))
}

/// The documentation of the crate, without the comment marks.
fn crate_documentation() -> String {
    let source = read("src/lib.rs");
    source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

/// Between the first line that begins with `begins` and the next that begins with `ends`, both left out.
fn section<'a>(text: &'a str, begins: &str, ends: &str) -> &'a str {
    let after = text.find(&format!("\n{begins}")).expect("the section is there") + 1;
    let after = after + text[after..].find('\n').expect("a heading is a line") + 1;
    let end = text[after..].find(ends).map_or(text.len(), |end| after + end);
    &text[after..end]
}

/// What stands between the backquotes of `line`.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Cells of the rows of a Markdown table, without its head.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().filter(|line| line.starts_with('|'));
    lines.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// `DescribeLogDirs` is served by `src/handlers/describe_log_dirs.rs`.
fn file_of(api: &Api) -> String {
    let mut snake = String::new();
    for letter in api.name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    let candidates = [format!("src/handlers/{snake}.rs"), format!("src/handlers/{snake}/mod.rs")];
    let found = candidates.into_iter().find(|candidate| path(candidate).exists());
    found.unwrap_or_else(|| panic!("no file is named after {}", api.name))
}

fn api_table() -> String {
    let mut table = "| key | API | versions | file |\n| ---: | --- | --- | --- |\n".to_owned();
    for api in APIS {
        let file = file_of(api);
        let versions = match api.min_version == api.max_version {
            true => api.min_version.to_string(),
            false => format!("{} to {}", api.min_version, api.max_version),
        };
        table += &format!("| {} | {} | {versions} | [{}]({file}) |\n", api.key, api.name, file_name(&file));
    }
    table
}

fn file_name(file: &str) -> &str {
    file.trim_start_matches("src/handlers/")
}

#[test]
fn the_readme_lists_what_is_served() {
    let readme = read("README.md");
    let stands = section(&readme, API_TABLE_BEGINS, API_TABLE_ENDS);
    let table = api_table();
    if std::env::var_os("KLAMM_BLESS").is_some() {
        let begin = stands.as_ptr() as usize - readme.as_ptr() as usize;
        let blessed = format!("{}{table}{}", &readme[..begin], &readme[begin + stands.len()..]);
        std::fs::write(path("README.md"), blessed).expect("write README.md");
        return;
    }
    assert_eq!(stands, table, "KLAMM_BLESS=1 cargo test --lib docs:: rewrites it");
}

#[test]
fn the_readme_lists_the_rooms_and_who_may_use_whom() {
    let readme = read("README.md");
    let listed = rows(section(&readme, "### Code map", "###"));
    for (room, allowed) in LAYERS {
        let exists = path(&format!("src/{room}")).exists();
        let row = listed.iter().find(|row| row[0] == format!("`{room}`"));
        assert_eq!(row.is_some(), exists, "the room `{room}`");
        let Some(row) = row else { continue };
        let told: BTreeSet<&str> = row[2].split(", ").filter(|used| !used.is_empty()).collect();
        let held: BTreeSet<&str> =
            allowed.iter().copied().filter(|used| path(&format!("src/{used}")).exists()).collect();
        assert_eq!(told, held, "whom `{room}` may use");
    }
}

#[test]
fn the_readme_argues_every_dependency() {
    let manifest = read("Cargo.toml");
    let sections =
        [section(&manifest, "[dependencies]", "\n["), section(&manifest, "[dev-dependencies]", "\n[")];
    let lines = sections.iter().flat_map(|section| section.lines());
    let used: BTreeSet<&str> = lines.filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    let readme = read("README.md");
    let listed = rows(section(&readme, "## Dependencies", "\n## "));
    let argued: BTreeSet<&str> = listed.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(argued, used);
}

#[test]
fn the_code_map_names_every_room() {
    let documentation = crate_documentation();
    let source = read("src/lib.rs");
    let modules = source.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(documentation.contains(&format!("[`{module}`]")), "`{module}` is missing in the code map");
    }
}

/// The entries of the KIP index: number, and the files it names.
fn kip_index(documentation: &str) -> Vec<(&str, Vec<&str>)> {
    let entries = section(documentation, KIP_INDEX_BEGINS, KNOWN_BY_NAME_BEGINS).split("\n- ");
    entries.filter_map(|entry| Some((kips(entry).next()?, quoted(entry)))).collect()
}

/// Every `KIP-<number>` in `text`.
fn kips(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("KIP-").filter_map(|(at, _)| {
        let digits = text[at + 4..].chars().take_while(char::is_ascii_digit).count();
        (digits > 0).then(|| &text[at..at + 4 + digits])
    })
}

#[test]
fn the_kip_index_names_files_that_obey_the_kip() {
    let documentation = crate_documentation();
    for (kip, files) in kip_index(&documentation) {
        assert!(!files.is_empty(), "{kip} names no file");
        for file in files {
            assert!(path(&format!("src/{file}")).exists(), "{kip}: there is no {file}");
            assert!(
                kips(&read(&format!("src/{file}"))).any(|found| found == kip),
                "{file} says nothing of {kip}"
            );
        }
    }
}

#[test]
fn every_kip_in_the_sources_stands_in_the_index() {
    let documentation = crate_documentation();
    let by_name_only = section(&documentation, KNOWN_BY_NAME_BEGINS, "\0");
    let known: BTreeSet<&str> =
        kip_index(&documentation).into_iter().map(|(kip, _)| kip).chain(kips(by_name_only)).collect();
    let mut missing = BTreeSet::new();
    for source in crate::tidy::sources().iter().filter(|source| source.path != "docs.rs") {
        missing.extend(kips(&source.text).filter(|kip| !known.contains(kip)).map(str::to_owned));
    }
    assert!(missing.is_empty(), "not in the KIP index of src/lib.rs: {missing:?}");
}
