//! `load-hdf5`: the arrays of a load, and every option except those of held projects.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use snapbox::str;

use crate::common::fixtures;
use crate::program::{Sandbox, is_root, link};

#[test]
fn persistent_load_prints_a_summary_and_returns() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.load("p", &["plain.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
    let text = fs::read_to_string(sandbox.metadata("p")).unwrap();
    assert!(text.starts_with("# cute-shm load "), "{text}");
}

#[test]
fn segments_contain_the_bytes_of_the_file() {
    let sandbox = Sandbox::with_project();
    let segments = sandbox.segments("p");
    let bytes = |number: usize| fs::read(sandbox.shm().join(&segments[number])).unwrap();
    let x: Vec<u8> = (0..6).flat_map(|n| f64::from(n).to_le_bytes()).collect();
    let y: Vec<u8> = (1..4_i32).flat_map(i32::to_le_bytes).collect();
    assert_eq!((bytes(0), bytes(1)), (x, y));
}

#[test]
fn segments_and_metadata_are_private_by_default() {
    let mut sandbox = Sandbox::with_plain();
    let modes = |sandbox: &Sandbox| {
        let segment = sandbox.shm().join(&sandbox.segments("p")[0]);
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        [mode(segment), mode(sandbox.metadata("p"))]
    };
    sandbox.load("p", &["plain.h5"]);
    assert_eq!(modes(&sandbox), [0o600; 2]);
    let again = ["load-hdf5", "-po", "p", "plain.h5", "--mode", "660"];
    sandbox.command(&again).after("umask 077").run();
    assert_eq!(modes(&sandbox), [0o660; 2]);
}

#[test]
fn mode_that_lets_other_users_only_read_is_a_warning() {
    let mut sandbox = Sandbox::with_plain();
    let run = sandbox.loads("p", &["load-hdf5", "-p", "p", "plain.h5", "--mode", "644"]);
    run.is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- stderr
warning: the group may read but not write: the stock Python reader opens read-write and fails
warning: others may read but not write: the stock Python reader opens read-write and fails
--- exit 0

"#]]);
}

#[test]
fn segments_and_metadata_belong_to_the_chosen_group() {
    let mut sandbox = Sandbox::with_plain();
    let gid = if is_root() { 54321 } else { nix::unistd::Gid::effective().as_raw() };
    let group = gid.to_string();
    sandbox.loads("p", &["load-hdf5", "-p", "p", "plain.h5", "--group", &group, "--mode", "660"]);
    let segment = sandbox.shm().join(&sandbox.segments("p")[0]);
    assert_eq!(fs::metadata(segment).unwrap().gid(), gid);
    assert_eq!(fs::metadata(sandbox.metadata("p")).unwrap().gid(), gid);
}

#[test]
fn root_is_created_writable_for_all_users() {
    let sandbox = Sandbox::with_project();
    assert_eq!(fs::metadata(sandbox.root()).unwrap().permissions().mode() & 0o7777, 0o1777);
}

#[test]
fn root_option_overrides_the_environment() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.may_leave();
    let other = sandbox.file("other");
    let other = other.to_str().unwrap();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "--root", other]).is(str![[r#"
--- stdout
metadata: $WORK/other/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    assert!(!sandbox.root().exists());
    sandbox.run(&["--root", other, "unlink", "p"]).is(str![[r#"
--- stdout
removed p: 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert!(sandbox.in_shm().is_empty());
}

#[test]
fn several_files_become_a_group_each() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.write("groups.h5", fixtures::groups);
    sandbox.load("p", &["plain.h5", "groups.h5", "again=plain.h5"]);
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p live 168 B $ROOT/cute-shm.p.toml
  key                   shape   dtype    size  attributes  segment
  /plain/x              (2, 3)  float64  48 B              cute-shm.p.TOKEN00000
  /plain/y              (3,)    int32    12 B              cute-shm.p.TOKEN00001
  /groups/test/images   (3,)    float64  24 B              cute-shm.p.TOKEN00002
  /groups/train/images  (2,)    float64  16 B              cute-shm.p.TOKEN00003
  /groups/train/label   (1,)    float64   8 B              cute-shm.p.TOKEN00004
  /again/x              (2, 3)  float64  48 B              cute-shm.p.TOKEN00005
  /again/y              (3,)    int32    12 B              cute-shm.p.TOKEN00006

--- exit 0

"#]]);
}

#[test]
fn one_file_with_a_name_becomes_a_group() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.load("p", &["only=plain.h5"]);
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p live 60 B $ROOT/cute-shm.p.toml
  key      shape   dtype    size  attributes  segment
  /only/x  (2, 3)  float64  48 B              cute-shm.p.TOKEN00000
  /only/y  (3,)    int32    12 B              cute-shm.p.TOKEN00001

--- exit 0

"#]]);
}

#[test]
fn file_with_an_equals_sign_in_its_name_is_loaded() {
    let mut sandbox = Sandbox::with_file("a=b.h5", fixtures::plain);
    sandbox.load("p", &["a=b.h5"]);
    sandbox.run(&["show", "p", "x"]).is(str![[r#"
--- stdout
x  (2, 3) float64  48 B

[[0. 1. 2.]
 [3. 4. 5.]]
--- exit 0

"#]]);
}

#[test]
fn two_files_with_the_same_stem_need_names() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "p", "plain.h5", "x/plain.h5"]).is(str![[r#"
--- stderr
error: two files would become the group 'plain'
hint: name them: first=a/x.h5 second=b/x.h5
--- exit 2

"#]]);
}

#[test]
fn compounds_become_groups_of_arrays() {
    let mut sandbox = Sandbox::with_file("table.h5", fixtures::compound);
    sandbox.load("p", &["table.h5"]);
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p live 18 B $ROOT/cute-shm.p.toml
  key                 shape  dtype    size  attributes  segment
  /table/id           (2,)   uint16    4 B              cute-shm.p.TOKEN00000
  /table/point/x      (2,)   float32   8 B              cute-shm.p.TOKEN00001
  /table/point/label  (2,)   |S3       6 B              cute-shm.p.TOKEN00002

--- exit 0

"#]]);
}

#[test]
fn strings_get_a_fixed_length() {
    let mut sandbox = Sandbox::with_file("strings.h5", fixtures::strings);
    sandbox.load("p", &["strings.h5"]);
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p live 23 B $ROOT/cute-shm.p.toml
  key        shape  dtype  size  attributes  segment
  /fixed     (2,)   |S4     8 B              cute-shm.p.TOKEN00000
  /variable  (3,)   |S5    15 B              cute-shm.p.TOKEN00001

--- exit 0

"#]]);
    let bytes = |n: usize| fs::read(sandbox.shm().join(&sandbox.segments("p")[n])).unwrap();
    assert_eq!(bytes(0), b"ab\0\0abcd");
    assert_eq!(bytes(1), "é\0\0\0\0\0\0\0\0three".as_bytes());
}

#[test]
fn empty_arrays_and_scalars_are_loaded() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::empty_and_scalar);
    sandbox.load("p", &["f.h5"]);
    sandbox.run(&["show", "p", "/"]).is(str![[r#"
--- stdout
empty  (0, 3) float64  0 B  chunks (1, 1)
scalar  () int64  8 B
--- exit 0

"#]]);
    let sizes: Vec<_> = sandbox
        .segments("p")
        .iter()
        .map(|name| fs::metadata(sandbox.shm().join(name)).unwrap().len())
        .collect();
    assert_eq!(sizes, [1, 8]);
}

#[test]
fn file_without_datasets_is_a_project_without_arrays() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::nothing);
    sandbox.load("p", &["f.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 0 arrays, 0 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    sandbox.run(&["list", "--check"]).is(str![[r#"
--- stdout
p live 0 B $ROOT/cute-shm.p.toml
  no arrays

--- exit 0

"#]]);
}

#[test]
fn links_are_followed_and_dangling_links_are_reported() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::links);
    sandbox.load("p", &["f.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 24 B in SECONDS s (RATE/s)
--- stderr
warning: '/dangling' is skipped: dangling soft link to '/nowhere'
warning: '/group/back' is skipped: link back to an ancestor group
--- exit 0

"#]]);
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p live 24 B $ROOT/cute-shm.p.toml
  key           shape  dtype    size  attributes  segment
  /data         (2,)   float64  16 B              cute-shm.p.TOKEN00000
  /group/inner  (1,)   float64   8 B              cute-shm.p.TOKEN00001
  /hard         (2,)   float64  16 B              cute-shm.p.TOKEN00000
  /soft         (2,)   float64  16 B              cute-shm.p.TOKEN00000

--- exit 0

"#]]);
}

#[test]
fn unsupported_data_is_skipped_with_a_warning() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    sandbox.load("p", &["f.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 1 array, 16 B in SECONDS s (RATE/s)
--- stderr
warning: '/ragged' is skipped: ragged array (variable-length sequences)
warning: '/reference' is skipped: references to objects or regions
--- exit 0

"#]]);
}

#[test]
fn only_the_unsupported_field_of_a_compound_is_skipped() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::ragged_field);
    sandbox.load("p", &["f.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 1 array, 16 B in SECONDS s (RATE/s)
--- stderr
warning: '/table/bad' is skipped: ragged array (variable-length sequences)
--- exit 0

"#]]);
}

#[test]
fn strict_refuses_unsupported_data_before_any_file_is_created() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    sandbox.run(&["load-hdf5", "-p", "p", "f.h5", "--strict"]).is(str![[r#"
--- stderr
error: '/ragged' cannot be loaded: ragged array (variable-length sequences) (and 1 more)
hint: without --strict it is left out; --exclude leaves it out on purpose
--- exit 9

"#]]);
}

#[test]
fn strict_accepts_excluded_data() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    let exclude = ["--exclude", "ragged", "--exclude", "reference"];
    let args = ["load-hdf5", "-p", "p", "f.h5", "--strict"];
    sandbox.loads("p", &[&args[..], &exclude].concat()).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 1 array, 16 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
}

#[test]
fn damaged_dataset_fails_the_load_and_leaves_no_files() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::damaged);
    sandbox.run(&["load-hdf5", "-p", "p", "f.h5"]).is(str![[r#"
--- stderr
error: cannot read '/second' in 'f.h5': deflate: damaged data
hint: load the other datasets with --keep-going
--- exit 8

"#]]);
}

#[test]
fn keep_going_loads_the_rest_of_a_damaged_file() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::damaged);
    sandbox.loads("p", &["load-hdf5", "-p", "p", "f.h5", "--keep-going"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 1 array, 7.81 KiB in SECONDS s (RATE/s)
--- stderr
warning: '/second' is skipped: in 'f.h5': deflate: damaged data
error: 1 of 2 could not be read
--- exit 10

"#]]);
    sandbox.run(&["show", "p", "/"]).is(str![[r#"
--- stdout
first  (1000,) int64  7.81 KiB  chunks (1000,), deflate
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 1, "what could not be read has no segment");
}

#[test]
fn glob_without_a_match_is_reported() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::groups);
    let odd = ["--include", "label", "--dtype", "/test/*=float32"];
    let run = sandbox.loads("p", &[&["load-hdf5", "-p", "p", "f.h5"][..], &odd].concat());
    run.is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 1 array, 8 B in SECONDS s (RATE/s)
--- stderr
warning: --dtype '/test/*=float32' matches nothing; --dry-run without it lists the datasets
--- exit 0

"#]]);
    let rule = ["--dtype", "typo=float32"];
    let run =
        sandbox.run(&[&["load-hdf5", "q", "f.h5", "--dry-run", "--json"][..], &rule].concat());
    let plan: serde_json::Value = run.json();
    assert_eq!(plan["warnings"][0]["code"], "unmatched", "{}", run.transcript());
}

#[test]
fn include_without_a_match_is_not_found() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::groups);
    let odd = ["load-hdf5", "-p", "p", "f.h5", "--include", "label", "--include", "/typo/*"];
    for more in [&[][..], &["--dry-run"], &["--ensure"]] {
        sandbox.run(&[&odd[..], more].concat()).is(str![[r#"
--- stderr
error: --include '/typo/*' matches nothing
hint: list the paths of the file with --dry-run, without --include
--- exit 3

"#]]);
    }
    sandbox.load("p", &["f.h5", "--include", "label"]);
    assert_eq!(sandbox.run(&[&odd[..], &["--overwrite"]].concat()).code(), 3);
    assert_eq!(sandbox.segments("p").len(), 1, "the existing project is still there");
}

#[test]
fn include_and_exclude_select_datasets() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::groups);
    let keys = |run: crate::program::Run| {
        assert_eq!(run.code(), 0, "{}", run.transcript());
        let plan: serde_json::Value = run.json();
        let arrays = plan["arrays"].as_array().unwrap().clone();
        arrays.iter().map(|array| array["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let plan = |options: &[&str]| {
        let args = ["load-hdf5", "p", "f.h5", "--dry-run", "--json"];
        keys(sandbox.run(&[&args[..], options].concat()))
    };
    assert_eq!(plan(&[]), ["/test/images", "/train/images", "/train/label"]);
    assert_eq!(plan(&["--include", "images"]), ["/test/images", "/train/images"]);
    assert_eq!(plan(&["--include", "/train"]), ["/train/images", "/train/label"]);
    assert_eq!(plan(&["--include", "/*/label"]), ["/train/label"]);
    assert_eq!(plan(&["--include", "/train", "--exclude", "label"]), ["/train/images"]);
    assert_eq!(plan(&["--exclude", "/t*"]), [""; 0]);
    sandbox.loads("p", &["load-hdf5", "-p", "p", "f.h5", "--include", "label"]);
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p live 8 B $ROOT/cute-shm.p.toml
  key           shape  dtype    size  attributes  segment
  /train/label  (1,)   float64   8 B              cute-shm.p.TOKEN00000

--- exit 0

"#]]);
}

#[test]
fn invalid_glob_is_a_usage_error() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "--include", "["]).is(str![[r#"
--- stderr
error: invalid glob: error parsing glob '**/[': unclosed character class; missing ']'
hint: '*' matches within one name, '**' across groups: '/images/*', '**/label'
--- exit 2

"#]]);
}

#[test]
fn dry_run_prints_the_plan_and_creates_nothing() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::groups);
    sandbox.run(&["load-hdf5", "p", "f.h5", "--dry-run"]).is(str![[r#"
--- stdout
array          shape  dtype    size
/test/images   (3,)   float64  24 B
/train/images  (2,)   float64  16 B
/train/label   (1,)   float64   8 B
3 arrays: 12 KiB needed, FREE free (LIMIT): it fits
--- exit 0

"#]]);
    assert!(!sandbox.root().exists());
}

#[test]
fn dry_run_lists_data_that_would_be_skipped() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    sandbox.run(&["load-hdf5", "p", "f.h5", "--dry-run"]).is(str![[r#"
--- stdout
array  shape  dtype    size
/good  (2,)   float64  16 B
1 array: 4 KiB needed, FREE free (LIMIT): it fits
--- stderr
warning: '/ragged' is skipped: ragged array (variable-length sequences)
warning: '/reference' is skipped: references to objects or regions
--- exit 0

"#]]);
    sandbox.run(&["load-hdf5", "p", "f.h5", "--dry-run", "--strict"]).is(str![[r#"
--- stderr
error: '/ragged' cannot be loaded: ragged array (variable-length sequences) (and 1 more)
hint: without --strict it is left out; --exclude leaves it out on purpose
--- exit 9

"#]]);
}

#[test]
fn existing_project_is_not_replaced_without_overwrite() {
    let sandbox = Sandbox::with_project();
    let before = sandbox.in_shm();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5"]).is(str![[r#"
--- stderr
error: project 'p' exists already
hint: it is live; use --overwrite to replace it, or 'cute-shm unlink p'
--- exit 4

"#]]);
    assert_eq!(sandbox.in_shm(), before);
}

#[test]
fn overwrite_replaces_a_project() {
    let sandbox = Sandbox::with_project();
    sandbox.write("f.h5", fixtures::groups);
    let before = sandbox.segments("p");
    sandbox.run(&["load-hdf5", "-p", "p", "f.h5", "--overwrite"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 3 arrays, 48 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    let after = sandbox.segments("p");
    assert!(after.len() == 3 && after.iter().all(|name| !before.contains(name)), "{after:?}");
}

#[test]
fn failed_overwrite_keeps_the_old_project() {
    let sandbox = Sandbox::with_project();
    sandbox.write("bad.h5", fixtures::damaged);
    let before = sandbox.segments("p");
    sandbox.run(&["load-hdf5", "-p", "p", "bad.h5", "--overwrite"]).is(str![[r#"
--- stderr
error: cannot read '/second' in 'bad.h5': deflate: damaged data
hint: load the other datasets with --keep-going
--- exit 8

"#]]);
    assert_eq!(sandbox.segments("p"), before);
    sandbox.run(&["list", "--check", "--quiet", "-s", "p"]);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn grace_keeps_the_old_segments_for_a_while() {
    let sandbox = Sandbox::with_project();
    let old = sandbox.segments("p");
    let load = sandbox.command(&["load-hdf5", "-po", "p", "plain.h5", "--grace", "30"]).start();
    crate::program::wait_until("the new segments", || sandbox.segments("p").len() == 4);
    crate::program::wait_until("the new project", || {
        let text = fs::read_to_string(sandbox.metadata("p")).unwrap();
        !text.contains(&old[0])
    });
    assert!(old.iter().all(|name| sandbox.segments("p").contains(name)));
    load.signal(nix::sys::signal::Signal::SIGKILL);
    load.end(&sandbox).is(str![[r#"
--- killed by signal 9

"#]]);
    sandbox.run(&["list", "-s", "--json", "--check"]);
    sandbox.run(&["gc"]).is(str![[r#"
--- stdout
recovered p in '$ROOT' (live): an interrupted change left files; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
}

#[test]
fn invalid_grace_time_is_a_usage_error() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "--grace=-1"]).is(str![[r#"
--- stderr
error: invalid value '-1' for '--grace <SECONDS>': expected a number of seconds, such as 10 or 0.5

For more information, try '--help'.
--- exit 2

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "--grace", "soon"]).is(str![[r#"
--- stderr
error: invalid value 'soon' for '--grace <SECONDS>': expected a number of seconds, such as 10 or 0.5

For more information, try '--help'.
--- exit 2

"#]]);
}

#[test]
fn mode_without_owner_permissions_is_refused() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "--mode", "444"]).is(str![[r#"
--- stderr
error: invalid value '444' for '--mode <OCTAL>': the owner must be able to read and write: 600 to 777

For more information, try '--help'.
--- exit 2

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "--mode", "rw"]).is(str![[r#"
--- stderr
error: invalid value 'rw' for '--mode <OCTAL>': 'rw' is not octal

For more information, try '--help'.
--- exit 2

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "--group", "no such group"]).is(str![[r#"
--- stderr
error: invalid value 'no such group' for '--group <NAME>': no such group

For more information, try '--help'.
--- exit 2

"#]]);
}

#[test]
fn strict_and_keep_going_exclude_each_other() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "p", "plain.h5", "--strict", "--keep-going"]).is(str![[r#"
--- stderr
error: the argument '--strict' cannot be used with '--keep-going'

Usage: cute-shm load-hdf5 --strict <PROJECT> <FILE>... [-- <CMD>...]

For more information, try '--help'.
--- exit 2

"#]]);
}

#[test]
fn very_many_arrays_are_a_warning() {
    let mut sandbox = Sandbox::with_file("f.h5", |path| fixtures::many(path, 600));
    sandbox.load("p", &["f.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 600 arrays, 600 B in SECONDS s (RATE/s)
--- stderr
warning: 600 arrays: the Python reader opens one file each; raise its limit with 'ulimit -n 4096'
--- exit 0

"#]]);
}

#[test]
fn file_is_loaded_through_a_symlink() {
    let mut sandbox = Sandbox::with_plain();
    link(&sandbox.file("plain.h5"), &sandbox.file("link.h5"));
    sandbox.load("p", &["link.h5"]);
    let shown = sandbox.run(&["show", "p", "--json"]).json::<serde_json::Value>();
    let path = shown["project"]["sources"][0]["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with("/plain.h5"), "{path}");
}

#[test]
fn job_is_recorded_in_the_ledger() {
    for (variable, scheduler) in [
        ("SLURM_JOB_ID", "slurm"),
        ("PBS_JOBID", "pbs"),
        ("LSB_JOBID", "lsf"),
        ("CUTE_SHM_JOB", "other"),
    ] {
        let mut sandbox = Sandbox::with_plain();
        sandbox.command(&["load-hdf5", "-p", "p", "plain.h5"]).env(variable, "42").run();
        sandbox.unlink_at_end("p");
        let shown = sandbox.run(&["show", "p", "--json"]).json::<serde_json::Value>();
        let job = &shown["project"]["jobs"][0];
        assert_eq!(
            (&job["scheduler"], &job["id"], &job["restart"]),
            (&scheduler.into(), &"42".into(), &0.into())
        );
    }
}
