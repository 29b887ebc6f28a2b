//! `show`: one project, or what lies below one key.

use snapbox::str;

use crate::fixtures;
use crate::sandbox::Sandbox;

#[test]
fn a_project_is_shown_with_tree_attributes_and_provenance() {
    let mut sandbox = Sandbox::with("f.h5", fixtures::attributes);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p"]).is(str![]);
}

#[test]
fn long_attribute_values_are_printed_in_full_on_demand() {
    let mut sandbox = Sandbox::with("f.h5", fixtures::attributes);
    sandbox.load("p", &["f.h5"]);
    let run = sandbox.run(&["show", "p", "--all-attrs"]);
    assert!(
        run.stdout().contains(&format!("@long = \"{}\"", "long ".repeat(20))),
        "{}",
        run.text()
    );
}

#[test]
fn the_attributes_of_a_table_are_shown() {
    let mut sandbox = Sandbox::with("f.h5", fixtures::compound);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p", "/"]).is(str![]);
}

#[test]
fn a_key_shows_what_lies_below_it() {
    let mut sandbox = Sandbox::with("f.h5", fixtures::groups);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p", "/train/label"]).is(str![]);
    sandbox.run(&["show", "p", "train"]).is(str![]);
    sandbox.run(&["show", "p", "train.images"]).is(str![]);
    sandbox.run(&["show", "p", "/tra"]).is(str![]);
}

#[test]
fn an_ambiguous_key_is_a_usage_error() {
    let mut sandbox = Sandbox::with("f.h5", |path| {
        let file = hdf5::File::create(path).unwrap();
        for group in ["a", "a.b"] {
            let name = if group == "a" { "b.c" } else { "c" };
            let group = file.create_group(group).unwrap();
            group.new_dataset_builder().with_data(&[1_u8]).create(name).unwrap();
        }
    });
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p", "a.b.c"]).is(str![]);
}

#[test]
fn what_the_load_left_out_is_shown() {
    let mut sandbox = Sandbox::with("f.h5", fixtures::unsupported);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p"]).is(str![]);
}

#[test]
fn jobs_and_several_sources_are_shown() {
    let mut sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-p", "p", "a=plain.h5", "b=plain.h5"];
    sandbox.command(&args).env("SLURM_JOB_ID", "42").env("SLURM_RESTART_COUNT", "2").run();
    sandbox.unlink_at_end("p");
    sandbox.run(&["show", "p"]).is(str![]);
}

#[test]
fn a_missing_project_is_not_found() {
    Sandbox::new().run(&["show", "p"]).is(str![]);
}
