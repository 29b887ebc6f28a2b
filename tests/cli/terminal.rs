//! Hostile names of files, projects and arrays: no character that moves the cursor or changes colors or the text
//! direction reaches a terminal.

use std::fs;
use std::os::unix::fs::symlink;

use hdf5::types::{VarLenArray, VarLenUnicode};
use hdf5::{File, Location};

use crate::common::fixtures;
use crate::program::{Program, Sandbox};

/// Sets colors, moves the cursor, sets the title, reverses text, and ends lines.
const HOSTILE: &str =
    "E\u{1b}[31;5m\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}7m\u{202e}\u{2066}\u{85}\u{2028}\n\rX";

/// Like [`HOSTILE`], for names of projects that this program creates.
const REVERSED: &str = "p\u{202e}\u{2067}";

fn is_hostile(c: char) -> bool {
    let reverses = ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    (c.is_control() && !"\r\n\t".contains(c)) || reverses || "\u{2028}\u{2029}".contains(c)
}

/// Groups, arrays, attributes, values, fields and skipped objects with hostile names.
fn hostile_file(path: &std::path::Path) {
    let file = File::create(path).unwrap();
    let group = file.create_group(HOSTILE).unwrap();
    let data = group.new_dataset_builder().with_data(&[1_i32, 2]).create(HOSTILE).unwrap();
    let text: VarLenUnicode = HOSTILE.parse().unwrap();
    let locations: [&Location; 2] = [&group, &data];
    for location in locations {
        location.new_attr::<VarLenUnicode>().create(HOSTILE).unwrap().write_scalar(&text).unwrap();
    }
    let words = [text.clone(), text];
    group.new_dataset_builder().with_data(&words).create("words").unwrap();
    let ragged = [VarLenArray::from_slice(&[1_i32])];
    let skipped = format!("ragged{HOSTILE}");
    file.new_dataset_builder().with_data(&ragged).create(&*skipped).unwrap();
}

/// Projects with hostile names in every state that another user can create.
fn hostile_projects(sandbox: &Sandbox) {
    crate::states::make_root(sandbox);
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    let escaped =
        quoted.trim_matches('"').replace('\u{9b}', "\\u009b").replace('\u{85}', "\\u0085");
    let metadata = |project: &str, segment: &str| {
        format!(
            "[{quoted}]\nshm_name = \"cute-shm.{project}.{segment}\"\n\
             shm_private_name = \"/cute-shm.{project}.{segment}\"\nshape = [1]\ndtype = {quoted}\n\
             [{quoted}.attrs]\n{quoted} = {quoted}\n"
        )
    };
    let whole = metadata(&format!("live{escaped}"), "aaaaaaaaaa");
    let projects = [
        ("live", whole.as_str()),
        ("broken", &metadata(&format!("broken{escaped}"), "aaaaaaaaaa")),
        ("corrupt", "= ="),
        ("stranger", &metadata(&format!("../{escaped}"), "aaaaaaaaaa")),
    ];
    for (prefix, text) in projects {
        crate::states::write_private(&sandbox.metadata(&format!("{prefix}{HOSTILE}")), text);
    }
    let segment =
        |project: &str| sandbox.shm().join(format!("cute-shm.{project}{HOSTILE}.aaaaaaaaaa"));
    fs::write(segment("live"), [0; 8]).unwrap();
    fs::write(segment("orphan"), [0; 8]).unwrap();
    let far = crate::states::first_line(crate::states::OTHER_BOOT, &crate::states::host(), "1:2");
    let stale = format!("{far}{}", metadata(&format!("stale{escaped}"), "aaaaa00000"));
    crate::states::write_private(&sandbox.metadata(&format!("stale{HOSTILE}")), &stale);
}

/// Runs a command on a terminal and asserts that nothing hostile is shown. Returns the text.
#[track_caller]
fn assert_harmless(program: Program<'_>, what: &str) -> String {
    let (_, shown) = program.env("NO_COLOR", "1").run_on_terminal(50, 120);
    let found = shown.chars().find(|&c| is_hostile(c));
    assert_eq!(found, None, "{what}: {shown:?}");
    assert!(!shown.contains("panicked"), "{what}: {shown}");
    shown
}

#[test]
fn no_command_shows_a_hostile_name_on_a_terminal() {
    let mut sandbox = Sandbox::with_file("f.h5", hostile_file);
    let file = format!("file{HOSTILE}.h5");
    fs::rename(sandbox.file("f.h5"), sandbox.file(&file)).unwrap();
    sandbox.write("damaged.h5", fixtures::damaged);
    sandbox.write("plain.h5", fixtures::plain);
    let damaged = format!("damaged{HOSTILE}.h5");
    fs::rename(sandbox.file("damaged.h5"), sandbox.file(&damaged)).unwrap();
    hostile_projects(&sandbox);
    let live = format!("live{HOSTILE}");
    let missing = format!("missing{HOSTILE}");
    let export = format!("export{HOSTILE}.h5");
    let key = format!("/{HOSTILE}/{HOSTILE}");
    let words = format!("/{HOSTILE}/words");
    let attribute = format!("{key}@x");
    let load = ["load-hdf5", "-p", REVERSED];
    let commands: &[&[&str]] = &[
        &[&load[..], &[&file, "-vv"]].concat(),
        &[&load[..], &[&file]].concat(),
        &[&load[..], &[&file, "--ensure"]].concat(),
        &[&load[..], &["plain.h5", "--ensure"]].concat(),
        &[&load[..], &[&file, "--dry-run"]].concat(),
        &[&load[..], &[&file, "--strict", "-o"]].concat(),
        &[&load[..], &[&file, "--include", HOSTILE, "-o"]].concat(),
        &[&load[..], &[&file, "--dtype", HOSTILE, "-o"]].concat(),
        &[&load[..], &[&damaged, "-o"]].concat(),
        &[&load[..], &[&missing, "-o"]].concat(),
        &["load-hdf5", "-p", HOSTILE, &file],
        &["load-hdf5", "-p", "q", &file, "--rows", HOSTILE],
        &["load-hdf5", "-p", "q", &file, "--as-user", HOSTILE],
        &["load-hdf5", "q", &file, "--", HOSTILE],
        &["list"],
        &["list", "-s"],
        &["list", "-s", "-vv"],
        &["list", "--json"],
        &["list", "--check"],
        &["list", &format!("[{HOSTILE}")],
        &["show", REVERSED],
        &["show", REVERSED, "--all-attrs"],
        &["show", REVERSED, "--json"],
        &["show", REVERSED, &key],
        &["show", REVERSED, &key, "--stats", "--plot"],
        &["show", REVERSED, &key, "--slice", HOSTILE],
        &["show", REVERSED, &key, "--python"],
        &["show", REVERSED, "--python"],
        &["show", REVERSED, &words],
        &["show", REVERSED, &words, "--stats"],
        &["show", REVERSED, &attribute],
        &["show", &live],
        &["show", &live, &format!("/{HOSTILE}")],
        &["show", &format!("broken{HOSTILE}"), "--python"],
        &["show", &format!("corrupt{HOSTILE}")],
        &["show", &format!("stranger{HOSTILE}")],
        &["show", &missing],
        &["export", REVERSED, "-o", &export],
        &["export", REVERSED, "-o", &export],
        &["export", REVERSED, "-o", &export, "--overwrite", "--json"],
        &["export", REVERSED, &missing, "-o", "x.npz"],
        &["export", REVERSED, "-o", "x.safetensors"],
        &["export", REVERSED, "-o", &missing],
        &["export", &live, "-o", "y.npz"],
        &["wait", &missing, "--timeout", "0"],
        &["wait", &live, "--timeout", "0", "-v"],
        &["doctor"],
        &["doctor", "--check"],
        &["gc", "--dry-run", "-v", "--broken", "--orphans", "--min-age", "0s"],
        &["gc", "--check"],
        &["gc", "--user", HOSTILE],
        &["gc", "--min-age", HOSTILE],
        &["unlink", "--dry-run", &live],
        &["unlink", &missing, &format!("corrupt{HOSTILE}"), &missing],
        &["help", HOSTILE],
        &["completions", HOSTILE],
        &["man", &format!("/proc/{HOSTILE}")],
        &[HOSTILE],
        &["list", &format!("--{HOSTILE}")],
        &["list", "--json", &format!("--color={HOSTILE}")],
        &["__complete", "zsh", "show", ""],
        &["__complete", "fish", "show", REVERSED, ""],
        &["__complete", "bash", "cute-shm", "", "cute-shm unlink "],
        &["gc", "-vv", "--broken", "--orphans", "--min-age", "0s"],
        &["unlink", "-vv", &live],
    ];
    let mut escaped = 0;
    for args in commands {
        let shown = assert_harmless(sandbox.command(args), &format!("{args:?}"));
        escaped += usize::from(shown.contains("\\u{1b}") || shown.contains("\\u{202e}"));
    }
    assert!(escaped > commands.len() / 2, "{escaped} of {} show a name", commands.len());
    sandbox.unlink_at_end(REVERSED);
    sandbox.may_leave();
}

#[test]
fn hostile_directories_are_not_shown_on_a_terminal() {
    let sandbox = Sandbox::with_file("f.h5", hostile_file);
    let (root, shm) = (sandbox.file(HOSTILE), sandbox.file(&format!("shm{HOSTILE}")));
    let run = |args: &[&str]| {
        let program = sandbox.command(args).env("CUTE_SHM_ROOT", &root).env("CUTE_SHM_DIR", &shm);
        assert_harmless(program, &format!("{args:?}"))
    };
    let each: [&[&str]; 7] = [
        &["load-hdf5", "-p", "p", "f.h5", "-vv"],
        &["list"],
        &["show", "p"],
        &["show", "p", "--python"],
        &["doctor"],
        &["gc", "-v"],
        &["unlink", "p"],
    ];
    for args in each {
        run(args);
    }
    fs::create_dir(&shm).unwrap();
    for args in each {
        run(args);
    }
    fs::remove_dir(&root).unwrap();
    symlink("/", &root).unwrap();
    for args in each {
        run(args);
    }
}

#[test]
fn old_commands_show_no_hostile_name() {
    let sandbox = Sandbox::with_file("f.h5", hostile_file);
    hostile_projects(&sandbox);
    let live = format!("live{HOSTILE}");
    for name in ["cute-shm-list", "cute-shm-hdf5", "cute-shm-unlink"] {
        symlink(env!("CARGO_BIN_EXE_cute-shm"), sandbox.file(name)).unwrap();
    }
    let each: [&[&str]; 7] = [
        &["./cute-shm-list"],
        &["./cute-shm-list", "--short"],
        &["./cute-shm-list", HOSTILE],
        &["./cute-shm-hdf5", HOSTILE, "f.h5"],
        &["./cute-shm-hdf5", "p", HOSTILE],
        &["./cute-shm-unlink", HOSTILE],
        &["./cute-shm-unlink", &live],
    ];
    for args in each {
        let program = sandbox.command(args).after("shift 0; exec \"$@\"");
        assert_harmless(program, &format!("{args:?}"));
    }
    let mut sandbox = sandbox;
    sandbox.may_leave();
}

#[test]
fn only_color_sequences_of_the_program_reach_a_terminal() {
    let mut sandbox = Sandbox::with_file("f.h5", hostile_file);
    sandbox.load("p", &["f.h5"]);
    hostile_projects(&sandbox);
    for args in [&["list"][..], &["list", "-s"], &["show", "p"], &["show", HOSTILE]] {
        let (_, shown) = sandbox.command(args).run_on_terminal(50, 120);
        assert!(shown.contains("\u{1b}["), "{args:?}: {shown:?}");
        for sequence in ["\u{1b}[31;5m", "\u{1b}[2J", "\u{1b}]", "\u{9b}", "\u{202e}"] {
            assert!(!shown.contains(sequence), "{args:?}: {shown:?}");
        }
    }
    sandbox.may_leave();
}

#[test]
fn json_is_safe_for_terminals_and_exact() {
    let mut sandbox = Sandbox::with_file("f.h5", hostile_file);
    sandbox.load("p", &["f.h5"]);
    let run = sandbox.run(&["show", "p", "--json"]);
    assert_eq!(run.stdout().chars().find(|&c| is_hostile(c)), None, "{}", run.transcript());
    let shown: serde_json::Value = run.json();
    assert_eq!(shown["project"]["arrays"][0]["key"], format!("/{HOSTILE}/{HOSTILE}"));
}
