//! `list`: its tables. States are in `states.rs`.

use std::fs;

use snapbox::str;

use crate::common::fixtures;
use crate::program::Sandbox;

#[test]
fn missing_root_has_no_projects() {
    let sandbox = Sandbox::new();
    sandbox.run(&["list"]).is(str![[r#"
--- stderr
no projects
--- exit 0

"#]]);
    sandbox.run(&["list", "--short"]).is(str![[r#"
--- stderr
no projects
--- exit 0

"#]]);
    sandbox.run(&["list", "--quiet"]).is(str![[r#"
--- exit 0

"#]]);
    assert!(!sandbox.root().exists(), "looking makes nothing");
}

#[test]
fn full_list_shows_every_array() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::attributes);
    sandbox.write("g.h5", fixtures::groups);
    sandbox.load("b", &["f.h5"]);
    sandbox.load("a", &["g.h5"]);
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
a live 48 B $ROOT/cute-shm.a.toml
  key            shape  dtype    size  attributes  segment
  /test/images   (3,)   float64  24 B              cute-shm.a.TOKEN00000
  /train/images  (2,)   float64  16 B              cute-shm.a.TOKEN00001
  /train/label   (1,)   float64   8 B              cute-shm.a.TOKEN00002

b live 4 B $ROOT/cute-shm.b.toml
  key          shape  dtype    size  attributes                                                                     segment
  /group/data  (1,)   float32   4 B  count, endless, flag, largest, long, negative, not_a_number, ratio, row, unit  cute-shm.b.TOKEN00000

--- exit 0

"#]]);
}

#[test]
fn short_list_has_one_row_per_project() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.load("two", &["plain.h5"]);
    sandbox.load("one", &["plain.h5", "--include", "y"]);
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state  lifetime    attached  age
one           1  12 B     4 KiB  live   persistent  0         AGE
two           2  60 B     8 KiB  live   persistent  0         AGE
--- exit 0

"#]]);
}

#[test]
fn pattern_selects_projects() {
    let mut sandbox = Sandbox::with_plain();
    for project in ["run-1", "run-2", "other"] {
        sandbox.load(project, &["plain.h5"]);
    }
    sandbox.run(&["list", "-s", "run-*"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state  lifetime    attached  age
run-1         2  60 B     8 KiB  live   persistent  0         AGE
run-2         2  60 B     8 KiB  live   persistent  0         AGE
--- exit 0

"#]]);
    sandbox.run(&["list", "-s", "none*"]).is(str![[r#"
--- stderr
no projects
--- exit 0

"#]]);
    sandbox.run(&["list", "-s", "{"]).is(str![[r#"
--- stderr
error: invalid glob: error parsing glob '{': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
--- exit 2

"#]]);
}

#[test]
fn missing_segment_is_marked() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p broken 12 B $ROOT/cute-shm.p.toml
  key  shape   dtype    size  attributes  segment
  /x   (2, 3)  float64  48 B              * missing *
  /y   (3,)    int32    12 B              cute-shm.p.TOKEN00001

--- stderr
warning: 'p': broken: 1 of 2 segments are missing
--- exit 0

"#]]);
    sandbox.run(&["list", "--color", "always"]).is(str![[r#"
--- stdout
<ESC>[1mp<ESC>[0m <ESC>[1m<ESC>[31mbroken<ESC>[0m 12 B <ESC>[2m$ROOT/cute-shm.p.toml<ESC>[0m
  key  shape   dtype    size  attributes  segment
  /x   (2, 3)  float64  48 B              <ESC>[1m<ESC>[31m* missing *<ESC>[0m
  /y   (3,)    int32    12 B              <ESC>[36mcute-shm.p.TOKEN00001<ESC>[0m

--- stderr
<ESC>[1m<ESC>[33mwarning:<ESC>[0m 'p': broken: 1 of 2 segments are missing
--- exit 0

"#]]);
}

#[test]
fn check_succeeds_if_all_projects_are_live() {
    let sandbox = Sandbox::with_project();
    assert_eq!(sandbox.run(&["list", "-s", "--check"]).code(), 0);
}

#[test]
fn check_fails_when_a_project_is_not_live() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    sandbox.run(&["list", "-s", "--check"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state   lifetime    attached  age
p             2  12 B     4 KiB  broken  persistent  0         AGE
--- stderr
warning: 'p': broken: 1 of 2 segments are missing
error: 1 project not live
hint: run 'cute-shm gc --dry-run' to list the projects that can be removed
--- exit 11

"#]]);
    assert_eq!(sandbox.run(&["list", "-s", "--check", "other*"]).code(), 0);
}

#[test]
fn unrelated_files_in_the_root_are_not_projects() {
    let mut sandbox = Sandbox::with_project();
    sandbox.may_leave();
    for name in ["notes.toml", "cute-shm.toml", "cute-shm.p.toml.bak", ".cute-shm.x.toml"] {
        fs::write(sandbox.root().join(name), "x = 1\n").unwrap();
    }
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state  lifetime    attached  age
p             2  60 B     8 KiB  live   persistent  0         AGE
--- exit 0

"#]]);
}
