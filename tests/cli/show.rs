//! `show`: one project, or the objects below one key.

use snapbox::str;

use crate::common::fixtures;
use crate::program::Sandbox;

#[test]
fn show_prints_tree_attributes_and_provenance() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::attributes);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p"]).is(str![[r#"
--- stdout
  project  p
    state  live
 lifetime  persistent
     size  4 B in 1 array, 4 KiB resident
 metadata  $ROOT/cute-shm.p.toml
    owner  user UID
   loaded  TIME (AGE ago)
     from  $WORK/f.h5 (7.00 KiB)
 attached  no process

@title = "a file"
group/
  @level = 1
  data  (1,) float32  4 B
    @count = 7
    @endless = "inf"
    @flag = true
    @largest = 9223372036854775807
    @long = "long long long long long long…ng long long long long long "
    @negative = -3
    @not_a_number = "nan"
    @ratio = 0.25
    @row = [1,2,3]
    @unit = "metres \"per\" second\n"
left out:
  /group/data@too_large: an integer of more than 64 bits with sign
--- exit 0

"#]]);
}

#[test]
fn long_attribute_values_are_printed_in_full_on_demand() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::attributes);
    sandbox.load("p", &["f.h5"]);
    let run = sandbox.run(&["show", "p", "--all-attrs"]);
    assert!(
        run.stdout().contains(&format!("@long = \"{}\"", "long ".repeat(20))),
        "{}",
        run.transcript()
    );
}

#[test]
fn attributes_of_a_compound_are_shown() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::compound);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p", "/"]).is(str![[r#"
--- stdout
table/
  @origin = "survey"
  id  (2,) uint16  4 B
  point/
    x  (2,) float32  8 B
    label  (2,) |S3  6 B
--- exit 0

"#]]);
}

#[test]
fn show_with_a_key_lists_the_objects_below_it() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::groups);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p", "/train/label"]).is(str![[r#"
--- stdout
train/
  label  (1,) float64  8 B

[3.]
--- exit 0

"#]]);
    sandbox.run(&["show", "p", "train"]).is(str![[r#"
--- stdout
train/
  images  (2,) float64  16 B
  label  (1,) float64  8 B
--- exit 0

"#]]);
    sandbox.run(&["show", "p", "train.images"]).is(str![[r#"
--- stdout
train/
  images  (2,) float64  16 B

[1. 2.]
--- exit 0

"#]]);
    sandbox.run(&["show", "p", "/tra"]).is(str![[r#"
--- stderr
error: project 'p' has no array '/tra'
hint: 'cute-shm show p' lists its arrays
--- exit 3

"#]]);
}

#[test]
fn ambiguous_key_is_a_usage_error() {
    let mut sandbox = Sandbox::with_file("f.h5", |path| {
        let file = hdf5::File::create(path).unwrap();
        for group in ["a", "a.b"] {
            let name = if group == "a" { "b.c" } else { "c" };
            let group = file.create_group(group).unwrap();
            group.new_dataset_builder().with_data(&[1_u8]).create(name).unwrap();
        }
    });
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p", "a.b.c"]).is(str![[r#"
--- stderr
error: 'a.b.c' is ambiguous: /a/b.c, /a.b/c
hint: write it as /group/name
--- exit 2

"#]]);
}

#[test]
fn skipped_data_of_the_load_is_shown() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p"]).is(str![[r#"
--- stdout
  project  p
    state  live
 lifetime  persistent
     size  16 B in 1 array, 4 KiB resident
 metadata  $ROOT/cute-shm.p.toml
    owner  user UID
   loaded  TIME (AGE ago)
     from  $WORK/f.h5 (6.05 KiB)
 attached  no process

good  (2,) float64  16 B
left out:
  /ragged: ragged array (variable-length sequences)
  /reference: references to objects or regions
--- exit 0

"#]]);
}

#[test]
fn jobs_and_several_sources_are_shown() {
    let mut sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-p", "p", "a=plain.h5", "b=plain.h5"];
    sandbox.command(&args).env("SLURM_JOB_ID", "42").env("SLURM_RESTART_COUNT", "2").run();
    sandbox.unlink_at_end("p");
    sandbox.run(&["show", "p"]).is(str![[r#"
--- stdout
  project  p
    state  live
 lifetime  persistent
     size  120 B in 4 arrays, 16 KiB resident
 metadata  $ROOT/cute-shm.p.toml
    owner  user UID
   loaded  TIME (AGE ago)
     from  $WORK/plain.h5 (2.06 KiB)
     from  $WORK/plain.h5 (2.06 KiB)
      job  slurm 42
 attached  no process

a/
  x  (2, 3) float64  48 B
  y  (3,) int32  12 B
b/
  x  (2, 3) float64  48 B
  y  (3,) int32  12 B
--- exit 0

"#]]);
}

#[test]
fn missing_project_is_not_found() {
    Sandbox::new().run(&["show", "p"]).is(str![[r#"
--- stderr
error: there is no project 'p'
hint: 'cute-shm list -s' shows the projects of this node
--- exit 3

"#]]);
}
