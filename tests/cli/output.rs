//! The global options: the output on each stream, and its colors.

use snapbox::str;

use crate::common::fixtures;
use crate::program::Sandbox;

#[test]
fn quiet_prints_only_the_result_and_errors() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    sandbox.loads("p", &["load-hdf5", "-p", "p", "f.h5", "--quiet"]).is(str![[r#"
--- exit 0

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "f.h5", "--quiet"]).is(str![[r#"
--- stderr
error: project 'p' exists already
hint: it is live; use --overwrite to replace it, or 'cute-shm unlink p'
--- exit 4

"#]]);
}

#[test]
fn verbose_reports_the_steps() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::attributes);
    sandbox.loads("p", &["load-hdf5", "-p", "p", "f.h5", "-v"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 1 array, 4 B in SECONDS s (RATE/s)
--- stderr
[SECONDS] planned 1 array, 4 B
[SECONDS] attribute /group/data@too_large is left out: an integer of more than 64 bits with sign
[SECONDS] published
warning: attribute '/group/data@too_large' is not in the metadata: an integer of more than 64 bits with sign
--- exit 0

"#]]);
}

#[test]
fn twice_verbose_reports_every_segment() {
    let mut sandbox = Sandbox::with_plain();
    let run = sandbox.loads("p", &["load-hdf5", "-p", "p", "plain.h5", "-vv"]);
    let text = run.transcript();
    for step in ["reading /", "planned 2 arrays, 60 B", "published"] {
        assert!(text.contains(&format!("[SECONDS] {step}\n")), "{text}");
    }
    for (number, bytes) in [("00000", 48), ("00001", 12)] {
        let line = format!("[SECONDS] created segment cute-shm.p.TOKEN{number} ({bytes} bytes)\n");
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn twice_verbose_reports_attached_and_removed_segments() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.loads("p", &["load-hdf5", "-p", "p", "plain.h5", "-q"]);
    let count_events = |sandbox: &Sandbox, args: &[&str]| {
        let text = sandbox.run(args).transcript();
        let events = text.lines().filter(|line| line.starts_with("[SECONDS] ")).count();
        (events, text)
    };
    let (events, text) = count_events(&sandbox, &["export", "p", "-o", "p.npz", "-vv"]);
    assert_eq!(events, 2, "{text}");
    assert!(
        text.contains("[SECONDS] attached segment cute-shm.p.TOKEN00000 (48 bytes)\n"),
        "{text}"
    );
    assert_eq!(count_events(&sandbox, &["list", "-v"]).0, 0);
    assert_eq!(count_events(&sandbox, &["unlink", "p", "--dry-run", "-vv"]).0, 0);
    let (events, text) = count_events(&sandbox, &["unlink", "p", "-vv"]);
    assert_eq!(events, 2, "{text}");
    assert!(text.contains("[SECONDS] removed segment cute-shm.p.TOKEN00001\n"), "{text}");
    sandbox.loads("p", &["load-hdf5", "-p", "p", "plain.h5", "-q"]);
    assert_eq!(count_events(&sandbox, &["unlink", "p", "-vvq"]).0, 0);
}

#[test]
fn pipe_gets_no_color() {
    let sandbox = Sandbox::with_project();
    for args in [&["list"][..], &["list", "-s"], &["show", "p"], &["show", "none"]] {
        let run = sandbox.run(args);
        assert!(!run.transcript().contains("<ESC>"), "{}", run.transcript());
    }
}

#[test]
fn color_can_be_forced_and_disabled() {
    let sandbox = Sandbox::with_project();
    let has_colour = |args: &[&str], no_color: &str| {
        let run = sandbox.command(args).env("NO_COLOR", no_color).run();
        run.transcript().contains("<ESC>")
    };
    assert!(has_colour(&["list", "--color", "always"], ""));
    assert!(has_colour(&["list", "--color=always"], "1"), "the option wins over NO_COLOR");
    assert!(!has_colour(&["list", "--color", "never"], ""));
    assert!(!has_colour(&["list", "--color", "auto"], "1"));
    assert!(!has_colour(&["list", "--color", "always", "--json"], ""));
    sandbox.run(&["show", "none", "--color", "always"]).is(str![[r#"
--- stderr
<ESC>[1m<ESC>[31merror:<ESC>[0m there is no project 'none'
<ESC>[36mhint:<ESC>[0m 'cute-shm list -s' shows the projects of this node
--- exit 3

"#]]);
    sandbox.run(&["list", "--color", "sometimes"]).is(str![[r#"
--- stderr
error: invalid value 'sometimes' for '--color <WHEN>'
  [possible values: auto, always, never]

For more information, try '--help'.
--- exit 2

"#]]);
}

#[test]
fn closed_output_pipe_is_not_an_error() {
    let sandbox = Sandbox::with_project();
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["show", "p"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = sandbox.command(args).run_into(writer);
        assert_eq!((run.code(), run.stderr()), (0, ""), "{args:?}: {}", run.transcript());
    }
}

#[test]
fn load_succeeds_if_the_reader_of_its_output_has_exited() {
    let mut sandbox = Sandbox::with_plain();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = sandbox.command(&["load-hdf5", "-p", "p", "plain.h5"]).run_into(writer);
    sandbox.unlink_at_end("p");
    run.is(str![[r#"
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
}

#[test]
fn unwritable_result_is_an_error() {
    let sandbox = Sandbox::with_project();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    sandbox.command(&["list"]).run_into(full).is(str![[r#"
--- stderr
error: cannot write the result: No space left on device
--- exit 1

"#]]);
}

#[test]
fn version_is_that_of_the_package() {
    let run = Sandbox::new().run(&["--version"]);
    assert_eq!(run.stdout(), concat!("cute-shm ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn help_and_readme_list_the_same_exit_codes() {
    let help = Sandbox::new().run(&["--help"]);
    let rows = help.stdout().lines().skip_while(|line| *line != "Exit codes:").skip(1);
    let rows = rows.map(|line| line.trim().split_once(' ')).map_while(|row| row);
    let rows: Vec<_> = rows.map(|(code, text)| (code.to_owned(), text.trim())).collect();
    assert_eq!(rows.len(), 13, "{}", help.transcript());
    let readme = include_str!("../../README.md").replace('`', "").replace("128 + n", "128+n");
    for (code, text) in rows {
        assert!(readme.contains(&format!("| {code} | {text}")), "{code}: {text}");
    }
}

#[test]
fn missing_subcommand_prints_help_as_a_usage_error() {
    let run = Sandbox::new().run(&[]);
    assert_eq!((run.code(), run.stdout()), (2, ""));
    assert!(run.stderr().contains("Usage: cute-shm"), "{}", run.transcript());
}
