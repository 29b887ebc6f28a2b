//! `list`: what it shows of projects. States are in `states.rs`.

use std::fs;

use snapbox::str;

use crate::fixtures;
use crate::sandbox::Sandbox;

#[test]
fn without_a_root_there_are_no_projects() {
    let sandbox = Sandbox::new();
    sandbox.run(&["list"]).is(str![]);
    sandbox.run(&["list", "--short"]).is(str![]);
    sandbox.run(&["list", "--quiet"]).is(str![]);
    assert!(!sandbox.root().exists(), "looking makes nothing");
}

#[test]
fn the_full_form_shows_every_array() {
    let mut sandbox = Sandbox::with("f.h5", fixtures::attributes);
    sandbox.write("g.h5", fixtures::groups);
    sandbox.load("b", &["f.h5"]);
    sandbox.load("a", &["g.h5"]);
    sandbox.run(&["list"]).is(str![]);
}

#[test]
fn the_short_form_has_a_row_for_each_project() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.load("two", &["plain.h5"]);
    sandbox.load("one", &["plain.h5", "--include", "y"]);
    sandbox.run(&["list", "-s"]).is(str![]);
}

#[test]
fn a_pattern_chooses_projects() {
    let mut sandbox = Sandbox::with_plain();
    for project in ["run-1", "run-2", "other"] {
        sandbox.load(project, &["plain.h5"]);
    }
    sandbox.run(&["list", "-s", "run-*"]).is(str![]);
    sandbox.run(&["list", "-s", "none*"]).is(str![]);
    sandbox.run(&["list", "-s", "{"]).is(str![]);
}

#[test]
fn a_missing_segment_is_marked() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    sandbox.run(&["list"]).is(str![]);
    sandbox.run(&["list", "--color", "always"]).is(str![]);
}

#[test]
fn check_finds_nothing_wrong_with_live_projects() {
    let sandbox = Sandbox::with_project();
    assert_eq!(sandbox.run(&["list", "-s", "--check"]).code(), 0);
}

#[test]
fn check_fails_when_a_project_is_not_live() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    sandbox.run(&["list", "-s", "--check"]).is(str![]);
    assert_eq!(sandbox.run(&["list", "-s", "--check", "other*"]).code(), 0);
}

#[test]
fn files_of_others_in_the_root_are_no_projects() {
    let mut sandbox = Sandbox::with_project();
    sandbox.may_leave();
    for name in ["notes.toml", "cute-shm.toml", "cute-shm.p.toml.bak", ".cute-shm.x.toml"] {
        fs::write(sandbox.root().join(name), "x = 1\n").unwrap();
    }
    sandbox.run(&["list", "-s"]).is(str![]);
}
