//! `completions`: the scripts in `completions/` equal those that the program prints.

use std::fs;
use std::path::Path;

use snapbox::str;

use crate::program::Sandbox;

const SCRIPTS: [(&str, &str); 5] = [
    ("bash", "cute-shm.bash"),
    ("zsh", "_cute-shm"),
    ("fish", "cute-shm.fish"),
    ("elvish", "cute-shm.elv"),
    ("powershell", "_cute-shm.ps1"),
];

#[test]
fn committed_completions_are_those_of_this_program() {
    let sandbox = Sandbox::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (shell, name) in SCRIPTS {
        let run = sandbox.run(&["completions", shell]);
        assert!(run.code() == 0 && run.stderr().is_empty(), "{}", run.transcript());
        let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            committed == run.stdout(),
            "completions/{name} is not what 'cute-shm completions {shell}' prints: run scripts/generate"
        );
    }
    let expected: Vec<_> = SCRIPTS.map(|(_, name)| name.to_owned()).into();
    let mut names = crate::program::names(&folder);
    names.retain(|name| !expected.contains(name));
    assert_eq!(names, [""; 0], "completions/ has files that nothing generates");
}

#[test]
fn unknown_shell_is_a_usage_error() {
    Sandbox::new().run(&["completions", "tcsh"]).is(str![[r#"
--- stderr
error: invalid value 'tcsh' for '<SHELL>'
  [possible values: bash, elvish, fish, powershell, zsh]

  tip: a similar value exists: 'zsh'

For more information, try '--help'.
--- exit 2

"#]]);
}
