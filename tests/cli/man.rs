//! `man`: the pages in `man/` equal those that the program writes.

use std::fs;
use std::path::Path;

use snapbox::str;

use crate::program::{Sandbox, names};

#[test]
fn committed_man_pages_are_those_of_this_program() {
    let sandbox = Sandbox::new();
    let (made, committed) =
        (sandbox.file("man"), Path::new(env!("CARGO_MANIFEST_DIR")).join("man"));
    fs::create_dir(&made).unwrap();
    sandbox.run(&["man", "man"]).is(str![[r#"
--- exit 0

"#]]);
    assert_eq!(names(&made), names(&committed), "man/ has other pages: run scripts/generate");
    for name in names(&made) {
        let read = |folder: &Path| fs::read_to_string(folder.join(&name)).unwrap();
        assert!(
            read(&made) == read(&committed),
            "man/{name} is not what 'cute-shm man DIR' writes: run scripts/generate"
        );
    }
}

#[test]
fn every_command_has_a_man_page() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]);
    let pages = names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("man"));
    let commands = help.stdout().lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"load-hdf5"), "{commands:?}");
    for command in commands {
        assert!(pages.contains(&format!("cute-shm-{command}.1")), "{command}: {pages:?}");
    }
}

#[test]
fn man_without_a_directory_prints_the_main_page() {
    let run = Sandbox::new().run(&["man"]);
    assert_eq!((run.code(), run.stderr()), (0, ""));
    assert!(run.stdout().contains(".TH cute-shm 1"), "{}", run.stdout());
}

#[test]
fn missing_directory_is_created() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["man", "share/man/man1"]);
    assert_eq!((run.code(), run.transcript()), (0, "--- exit 0\n".to_owned()));
    assert!(sandbox.file("share/man/man1/cute-shm-help.1").exists());
    fs::write(sandbox.file("file"), "").unwrap();
    sandbox.run(&["man", "file/man1"]).is(str![[r#"
--- stderr
error: cannot create 'file/man1': Not a directory
--- exit 1

"#]]);
}
