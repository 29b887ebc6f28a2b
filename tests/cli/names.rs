//! Project names: those that can be created, and those of existing projects.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use snapbox::str;

use crate::program::Sandbox;

#[test]
fn odd_names_work_in_every_command() {
    let long = "x".repeat(128);
    for name in ["größe 中", "a.b", "a.toml", "a b", "*", "'\"\\", "$HOME", "a.0123456789", &long]
    {
        let mut sandbox = Sandbox::with_plain();
        sandbox.load(name, &["plain.h5"]);
        assert_eq!(sandbox.segments(name).len(), 2, "{name}");
        let shown: serde_json::Value = sandbox.run(&["show", "--json", name]).json();
        assert_eq!(shown["project"]["name"], name);
        let listed: serde_json::Value = sandbox.run(&["list", "--json", "--check"]).json();
        assert_eq!(listed["projects"][0]["name"], name);
        assert_eq!(listed["ok"], true, "{listed}");
        assert_eq!(sandbox.run(&["wait", "--timeout", "0", name]).code(), 0);
    }
}

#[test]
fn invalid_names_are_refused_with_the_reason() {
    let sandbox = Sandbox::with_plain();
    let long = "x".repeat(129);
    for name in ["", "a/b", ".a", "a\nb", "a\u{9b}b", &long] {
        let run = sandbox.run(&["load-hdf5", "-p", name, "plain.h5"]);
        assert_eq!(run.code(), 2, "{name:?}: {}", run.transcript());
        assert!(run.stderr().starts_with("error: invalid project name '"), "{}", run.transcript());
        assert!(run.stderr().contains("\nhint: "), "{}", run.transcript());
    }
    sandbox.run(&["load-hdf5", "-p", "a/b", "plain.h5"]).is(str![[r#"
--- stderr
error: invalid project name 'a/b': it contains '/'
hint: use 1 to 128 bytes of UTF-8, such as 'imagenet' or 'run-42'
--- exit 2

"#]]);
    sandbox.run(&["load-hdf5", "-p", "a\u{1b}b", "plain.h5"]).is(str![[r#"
--- stderr
error: invalid project name 'a\u{1b}b': it contains a control character
hint: use 1 to 128 bytes of UTF-8, such as 'imagenet' or 'run-42'
--- exit 2

"#]]);
    assert!(!sandbox.root().exists());
}

#[test]
fn name_that_is_not_utf8_cannot_be_created_but_can_be_removed() {
    let mut sandbox = Sandbox::with_plain();
    let name = OsString::from_vec(b"a\xff".to_vec());
    let load =
        sandbox.program(["load-hdf5".into(), "-p".into(), name.clone(), "plain.h5".into()].into());
    load.run().is(str![[r#"
--- stderr
error: invalid project name 'a�': it is not UTF-8
hint: use 1 to 128 bytes of UTF-8, such as 'imagenet' or 'run-42'
--- exit 2

"#]]);
    crate::states::make_root(&sandbox);
    let mut file = OsString::from("cute-shm.");
    file.push(&name);
    file.push(".toml");
    crate::states::write_private(&sandbox.root().join(file), "");
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state  lifetime  attached  age
a�            0   0 B       0 B  live   -         0         AGE
--- exit 0

"#]]);
    sandbox.unlink_at_end(name);
}

#[test]
fn project_name_of_python_may_break_the_rules_for_new_names() {
    let mut sandbox = Sandbox::new();
    for name in [".hidden", "-dash", "two\nlines"] {
        crate::states::python_project(&sandbox, name, &["aaaaaaaaaa"]);
    }
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project     arrays  size  resident  state  lifetime  attached  age
-dash            1   8 B     4 KiB  live   -         0         AGE
.hidden          1   8 B     4 KiB  live   -         0         AGE
two\nlines       1   8 B     4 KiB  live   -         0         AGE
--- exit 0

"#]]);
    sandbox.run(&["unlink", ".hidden", "two\nlines"]).is(str![[r#"
--- stdout
removed .hidden: 1 segment, 4 KiB freed
removed two\nlines: 1 segment, 4 KiB freed
--- exit 0

"#]]);
    sandbox.run(&["unlink", "--", "-dash"]).is(str![[r#"
--- stdout
removed -dash: 1 segment, 4 KiB freed
--- exit 0

"#]]);
    sandbox.may_leave();
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn name_with_a_slash_is_a_usage_error_for_every_command() {
    let sandbox = Sandbox::new();
    for args in [&["show", "a/b"][..], &["unlink", "a/b"], &["wait", "a/b"], &["show", ""]] {
        let run = sandbox.run(args);
        assert_eq!(run.code(), 2, "{args:?}: {}", run.transcript());
    }
    sandbox.run(&["unlink", "../b"]).is(str![[r#"
--- stderr
error: invalid project name '../b': empty, or with '/' or NUL
--- exit 2

"#]]);
}

#[test]
fn names_of_ten_thousand_characters_are_exact_in_json_and_files() {
    let (group, array) = ("g".repeat(10_000), "\"'.\n\t\u{1b}[31m\u{202e}x".repeat(800));
    let mut sandbox = Sandbox::with_file("f.h5", |path| {
        let file = hdf5::File::create(path).unwrap();
        let inner = file.create_group(&group).unwrap();
        inner.new_dataset_builder().with_data(&[1_i32, 2]).create(&*array).unwrap();
    });
    sandbox.load("p", &["f.h5"]);
    let key = format!("/{group}/{array}");
    let shown: serde_json::Value = sandbox.run(&["show", "p", &key, "--json"]).json();
    assert_eq!(shown["project"]["arrays"][0]["key"], *key);
    assert_eq!(shown["preview"], "[1 2]");
    assert_eq!(sandbox.run(&["export", "p", "-o", "back.h5"]).code(), 0);
    let back = hdf5::File::open(sandbox.file("back.h5")).unwrap();
    let names = back.group(&group).unwrap().member_names().unwrap();
    assert_eq!(names, [array]);
}

#[test]
fn control_characters_in_names_of_any_length_never_reach_a_terminal() {
    let name = "a\u{1b}[31m\u{202e}\u{85}\u{2028}b";
    let mut sandbox = Sandbox::with_file("f.h5", |path| {
        let file = hdf5::File::create(path).unwrap();
        for name in [name, &"long".repeat(2500)] {
            file.new_dataset_builder().with_data(&[1_i32, 2]).create(name).unwrap();
        }
    });
    sandbox.load("p", &["f.h5"]);
    for size in [(0, 0), (40, 100)] {
        for args in [&["list"][..], &["show", "p"]] {
            let program = sandbox.command(args).env("NO_COLOR", "1");
            let said = program.run_in_terminal(size.0, size.1);
            assert!(said.contains(r"a\u{1b}"), "{size:?}: {said:?}");
            let bad = |c: &char| {
                (c.is_control() && !"\r\n".contains(*c)) || "\u{202e}\u{2028}".contains(*c)
            };
            assert_eq!(said.chars().find(bad), None, "{size:?}: {said:?}");
            assert!(said.lines().all(|line| line.chars().count() <= 300), "{size:?}: {said:?}");
        }
    }
}
