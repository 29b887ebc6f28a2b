//! `help`, `--help` and `-h`: the same text, in lines of at most 80 columns.

use std::ffi::OsString;

use snapbox::str;

use crate::program::Sandbox;

/// Returns the commands in the help of the program.
fn commands(sandbox: &Sandbox) -> Vec<String> {
    let help = sandbox.run(&["help"]);
    let lines = help.stdout().lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn help_command_prints_the_same_as_the_help_option() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["help"]).stdout(), sandbox.run(&["--help"]).stdout());
    let commands = commands(&sandbox);
    assert!(commands.contains(&"load-hdf5".to_owned()) && commands.contains(&"help".to_owned()));
    for command in commands {
        let help = sandbox.run(&["help", &command]);
        assert_eq!((help.code(), help.stderr()), (0, ""), "{command}");
        assert_eq!(help.stdout(), sandbox.run(&[&command, "--help"]).stdout(), "{command}");
        assert!(help.stdout().contains("\nExamples:\n"), "{command}");
    }
}

#[test]
fn help_of_no_command_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.run(&["help", "load"]).is(str![[r#"
--- stderr
error: unknown command 'load'
hint: run 'cute-shm help' for the list of commands
--- exit 2

"#]]);
}

#[test]
fn missing_subcommand_lists_the_commands() {
    let run = Sandbox::new().run(&[]);
    assert_eq!((run.code(), run.stdout()), (2, ""));
    assert!(
        run.stderr().contains("\nCommands:\n") && run.stderr().contains("cute-shm help COMMAND")
    );
}

#[test]
fn examples_and_exit_codes_fit_a_terminal_of_80_columns() {
    let sandbox = Sandbox::new();
    for command in commands(&sandbox) {
        let help = sandbox.run(&["help", &command]);
        let examples = help.stdout().lines().skip_while(|line| *line != "Examples:");
        for line in examples {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
    let program = sandbox.run(&["help"]);
    let end = program.stdout().lines().skip_while(|line| *line != "Examples:");
    assert!(end.clone().count() > 20 && end.into_iter().all(|line| line.chars().count() <= 80));
}

#[test]
fn options_of_a_load_are_in_groups() {
    let help = Sandbox::new().run(&["load-hdf5", "-h"]);
    let heads: Vec<_> = help
        .stdout()
        .lines()
        .filter(|line| line.ends_with(':') && !line.starts_with(' '))
        .collect();
    let wanted = ["Arguments:", "Options:", "Selection:", "Conversion:", "Access:"];
    let rest = ["Damaged and unsupported data:", "Speed:", "Output:", "Global options:"];
    assert_eq!(heads, [&wanted[..], &rest].concat());
}

#[test]
fn long_option_with_one_dash_gets_a_hint() {
    let sandbox = Sandbox::new();
    sandbox.run(&["load-hdf5", "p", "f.h5", "-persistent"]).is(str![[r#"
--- stderr
error: unexpected argument '-persistent' found

  tip: a similar argument exists: '--persistent'

Usage: cute-shm load-hdf5 [OPTIONS] <PROJECT> <FILE>... [-- <CMD>...]

For more information, try '--help'.
--- exit 2

"#]]);
    for args in [&["list", "-short"][..], &["load-hdf5", "-json", "p"], &["-root=/x", "list"]] {
        let run = sandbox.run(args);
        assert_eq!(run.code(), 2, "{}", run.transcript());
        assert!(
            run.stderr().contains("tip: a similar argument exists: '--"),
            "{}",
            run.transcript()
        );
    }
    // After two dashes and in names it is not the help option.
    let odd = sandbox.program(["list", "--x", "--", "-short"].map(OsString::from).to_vec()).run();
    assert!(odd.stderr().contains("'--x'"), "{}", odd.transcript());
}
