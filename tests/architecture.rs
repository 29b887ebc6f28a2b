//! The architecture of docs/architecture.md, checked in the source text: which folder may import which, where `unsafe` may
//! stand, and that `lib.rs` and each `mod.rs` hold declarations only.
//!
//! `tests/architecture/exceptions.txt` lists the places that do not follow the rules yet. The list may only shrink: the test
//! also fails if a line is no longer needed. `ARCHITECTURE=overwrite cargo test --test architecture` rewrites the list,
//! for example after a file was moved. It refuses a list that is longer than the old one.

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/modules.rs"]
mod modules;
#[path = "architecture/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use modules::{Import, Module, Modules};

/// A part of the tree: its name, the places that belong to it, and the rooms that it may import. The longest place wins.
struct Room(&'static str, &'static [&'static str], &'static [&'static [&'static str]]);

const READER: &[&str] = &["reader", "filters"];
const KERNEL: &[&str] = &["os", "error", "dtypes"];
const SHM: &[&str] = &["store", "segment", "format", "os", "error", "dtypes"];
const DATA: &[&str] = &["load", "export"];
const FACE: &[&str] = &["options", "output", "view", "doctor", "complete", "legacy", "text"];

const ROOMS: &[Room] = &[
    Room(
        "root",
        &["src/lib.rs", "src/main.rs", "src/internals.rs"],
        &[&["cli", "commands"], FACE, &["api"], DATA, READER, SHM],
    ),
    Room("cli", &["src/cli/"], &[&["commands"], FACE, &["api"], DATA, READER, SHM]),
    Room("commands", &["src/commands/"], &[FACE, &["api"], DATA, READER, SHM]),
    Room("output", &["src/output/"], &[&["options", "api", "text"], DATA, READER, SHM]),
    Room("view", &["src/view/"], &[&["options", "api", "text"], DATA, READER, SHM]),
    Room("doctor", &["src/doctor/"], &[&["options", "api", "text"], DATA, READER, SHM]),
    Room("complete", &["src/complete/"], &[&["options", "api", "text"], DATA, READER, SHM]),
    // The commands of the Python package print like those of this one.
    Room("legacy", &["src/legacy/"], &[&["options", "output", "api", "text"], DATA, READER, SHM]),
    // The resolved environment and global options.
    Room("options", &["src/context.rs"], &[&["api"], DATA, SHM]),
    Room("api", &["src/api/"], &[DATA, READER, SHM]),
    Room("load", &["src/load/"], &[READER, SHM]),
    Room("export", &["src/export/"], &[READER, SHM]),
    Room("store", &["src/shm/store/", "src/shm/mod.rs"], &[&["segment", "format"], KERNEL]),
    Room("segment", &["src/shm/segment/"], &[&["format"], KERNEL]),
    Room("format", &["src/shm/format/"], &[KERNEL]),
    Room("os", &["src/os/"], &[&["error"]]),
    Room("error", &["src/error/"], &[]),
    // Texts of sizes, ages and names.
    Room("text", &["src/text.rs"], &[]),
    Room("reader", &["crates/hdf5-reader/"], &[&["filters", "dtypes"]]),
    Room("filters", &["crates/hdf5-filters/"], &[]),
    Room("dtypes", &["crates/numpy-dtype/"], &[]),
];

/// The places that may contain `unsafe`.
const UNSAFE: &[&str] = &[
    "src/os/",
    "src/shm/segment/",
    "crates/hdf5-reader/src/ffi/",
    "crates/hdf5-filters/src/szip",
    "crates/hdf5-filters/src/zfp",
    // Views without a lock are unsafe functions of the API: the caller makes the promise.
    "src/api/guards.rs",
];

const EXCEPTIONS: &str = "tests/architecture/exceptions.txt";

/// The first lines of the list.
const EXCEPTIONS_HEAD: &str = "\
# Places that do not follow the rules of tests/architecture.rs yet. The list may only shrink.
# `ARCHITECTURE=overwrite cargo test --test architecture` rewrites it.
";

/// The lines of the list that a tree needs, and for each the places in the source.
type Findings = BTreeMap<String, Vec<String>>;

/// A rule: the first word of its lines in the list, and the check.
type Rule = (&'static str, fn(&Modules) -> Findings);

const RULES: [Rule; 5] = [
    ("room", files_without_room),
    ("arrow", forbidden_imports),
    ("circle", import_circles),
    ("unsafe", unsafe_elsewhere),
    ("code", code_among_declarations),
];

static MODULES: LazyLock<Modules> =
    LazyLock::new(|| Modules::read(Path::new(env!("CARGO_MANIFEST_DIR"))));

fn room(file: &str) -> Option<&'static Room> {
    let places = ROOMS.iter().flat_map(|room| room.1.iter().map(move |place| (*place, room)));
    let found = places.filter(|(place, _)| file.starts_with(place));
    found.max_by_key(|(place, _)| place.len()).map(|(_, room)| room)
}

fn files_without_room(modules: &Modules) -> Findings {
    let files = modules.0.values().map(|module| &module.file).filter(|file| room(file).is_none());
    files.map(|file| (format!("room {file}"), vec![format!("{file}: not in ROOMS")])).collect()
}

fn forbidden_imports(modules: &Modules) -> Findings {
    let mut findings = Findings::new();
    for Import { from, to, line } in modules.imports() {
        let (from, to) = (&modules.0[&from].file, &modules.0[&to].file);
        let (Some(here), Some(there)) = (room(from), room(to)) else { continue };
        if here.0 != there.0 && !here.2.iter().any(|group| group.contains(&there.0)) {
            let place = format!("{from}:{line}: '{}' must not import '{}' ({to})", here.0, there.0);
            findings.entry(format!("arrow {from} {}", there.0)).or_default().push(place);
        }
    }
    findings
}

fn import_circles(modules: &Modules) -> Findings {
    let mut findings = Findings::new();
    let imports = modules.imports();
    for (folder, children, edges) in circles::circles(&imports) {
        let place = |import: &&Import| {
            let (from, to) = (&modules.0[&import.from].file, &modules.0[&import.to].file);
            format!("{from}:{}: imports {to}", import.line)
        };
        let line = format!("circle {} {}", folder.join("::"), children.join(" "));
        findings.insert(line, edges.iter().map(place).collect());
    }
    findings
}

fn unsafe_elsewhere(modules: &Modules) -> Findings {
    let mut findings = Findings::new();
    for Module { file, tokens, .. } in modules.0.values() {
        let found = tokens.iter().filter(|token| token.text == "unsafe");
        let places: Vec<String> = found.map(|token| format!("{file}:{}", token.line)).collect();
        if !places.is_empty() && !UNSAFE.iter().any(|place| file.starts_with(place)) {
            findings.insert(format!("unsafe {file}"), places);
        }
    }
    findings
}

fn code_among_declarations(modules: &Modules) -> Findings {
    let mut findings = Findings::new();
    for Module { file, tokens, .. } in modules.0.values() {
        if !file.ends_with("/lib.rs") && !file.ends_with("/mod.rs") {
            continue;
        }
        for item in source::items(tokens) {
            let (at, word) = source::keyword(item);
            let ends_here = item.last().is_some_and(|end| end.text == ";");
            if word != "use" && !(word == "mod" && ends_here) {
                let place = format!("{file}:{}: not a declaration: '{word}'", item[at].line);
                findings.entry(format!("code {file}")).or_default().push(place);
            }
        }
    }
    findings
}

fn list_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(EXCEPTIONS)
}

/// The lines of the list that begin with this word; all without one.
fn listed(rule: Option<&str>) -> BTreeSet<String> {
    let text = std::fs::read_to_string(list_path()).unwrap();
    let is_of_rule = |line: &&str| {
        let first = line.split(' ').next().unwrap_or_default();
        first != "#" && rule.is_none_or(|rule| rule == first)
    };
    text.lines().filter(is_of_rule).map(str::to_owned).collect()
}

fn is_overwriting() -> bool {
    std::env::var_os("ARCHITECTURE").is_some_and(|value| value == "overwrite")
}

/// The differences between the findings of one rule and its lines in the list.
fn differences(findings: &Findings, listed: &BTreeSet<String>) -> String {
    let mut report = String::new();
    for (line, places) in findings.iter().filter(|(line, _)| !listed.contains(*line)) {
        let _ = writeln!(report, "new: {line}\n    {}", places.join("\n    "));
    }
    for line in listed.iter().filter(|line| !findings.contains_key(*line)) {
        let _ = writeln!(report, "no longer needed in {EXCEPTIONS}: {line}");
    }
    report
}

#[track_caller]
fn assert_rule(rule: &str) {
    let (name, check) = RULES.iter().find(|(name, _)| *name == rule).unwrap();
    let report = differences(&check(&MODULES), &listed(Some(name)));
    assert!(report.is_empty() || is_overwriting(), "\n{report}");
}

#[test]
fn every_file_belongs_to_a_room() {
    assert_rule("room");
}

#[test]
fn no_file_imports_a_higher_layer() {
    assert_rule("arrow");
}

#[test]
fn modules_of_one_folder_have_no_import_circle() {
    assert_rule("circle");
}

#[test]
fn unsafe_is_only_in_the_named_places() {
    assert_rule("unsafe");
}

#[test]
fn lib_and_mod_files_contain_only_declarations() {
    assert_rule("code");
}

/// `ARCHITECTURE=overwrite` rewrites the list. Its weight is its number of words: a circle that shrinks counts.
#[test]
fn list_of_exceptions_is_overwritten_only_by_a_smaller_one() {
    let findings: BTreeSet<String> =
        RULES.iter().flat_map(|(_, check)| check(&MODULES).into_keys()).collect();
    let words = |lines: &BTreeSet<String>| lines.iter().map(|line| line.split(' ').count()).sum();
    let (old, new): (usize, usize) = (words(&listed(None)), words(&findings));
    assert!(new <= old, "the exceptions grow from {old} to {new} words");
    if is_overwriting() {
        let lines: Vec<String> = findings.into_iter().collect();
        std::fs::write(list_path(), format!("{EXCEPTIONS_HEAD}{}\n", lines.join("\n"))).unwrap();
    }
}

/// A tree of these files, below the folder of this build.
fn tree(name: &str, files: &[(&str, &str)]) -> Modules {
    let top = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    for (file, text) in files {
        let path = top.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let modules = Modules::read(&top);
    std::fs::remove_dir_all(top).unwrap();
    modules
}

#[test]
fn import_of_a_higher_layer_is_found_with_file_and_line() {
    let modules = tree(
        "runs_up",
        &[
            ("src/lib.rs", "mod api; mod output; mod shm;"),
            ("src/output/mod.rs", "mod text;\npub(crate) use text::{Style, escaped};"),
            ("src/output/text.rs", "pub struct Style;"),
            ("src/api/mod.rs", "pub use node::Node; mod node;"),
            ("src/api/node.rs", "use crate::shm::store::name::Name;"),
            ("src/shm/mod.rs", "pub mod store;"),
            (
                "src/shm/store/name.rs",
                "//! crate::api\nuse std::{fmt,\n io};\nuse crate::{\n api::Node, output::Style};\n",
            ),
        ],
    );
    let found = forbidden_imports(&modules);
    let line = "src/shm/store/name.rs:5: 'store' must not import 'output' (src/output/text.rs)";
    assert_eq!(found["arrow src/shm/store/name.rs output"], [line]);
    assert_eq!(
        found.keys().filter(|line| line.starts_with("arrow src/shm/store/name.rs")).count(),
        2
    );
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn circle_through_a_re_export_is_found_and_tests_are_ignored() {
    let modules = tree(
        "circle",
        &[
            ("src/lib.rs", "mod shm; fn run() {}"),
            (
                "src/shm/mod.rs",
                "mod a; mod b; mod c; pub use b::B;\n#[cfg(test)]\nmod tests { use super::*; }",
            ),
            ("src/shm/a.rs", "fn f() { super::B::new('\"', \"crate::shm::c\"); }"),
            ("src/shm/b.rs", "use super::c;\nuse super::a; // super::c"),
            ("src/shm/c.rs", "#[cfg(test)]\nmod tests { use super::super::a; }\nunsafe fn f() {}"),
        ],
    );
    let circle = import_circles(&modules);
    assert_eq!(circle.keys().collect::<Vec<_>>(), ["circle cute_shm::shm a b"]);
    assert_eq!(unsafe_elsewhere(&modules)["unsafe src/shm/c.rs"], ["src/shm/c.rs:3"]);
    let code = code_among_declarations(&modules);
    assert_eq!(code.keys().collect::<Vec<_>>(), ["code src/lib.rs"]);
}

#[test]
fn unneeded_line_of_the_list_is_an_error() {
    let listed = BTreeSet::from(["code src/lib.rs".to_owned()]);
    let report = differences(&Findings::new(), &listed);
    assert_eq!(report, format!("no longer needed in {EXCEPTIONS}: code src/lib.rs\n"));
}
