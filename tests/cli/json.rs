//! JSON: the schema of every command's output, declared a second time. A field that is missing, unknown
//! or of another type fails.

use std::fs;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::common::fixtures;
use crate::program::{Run, Sandbox};

/// A field that may be null but must be present.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Warning {
    code: String,
    message: String,
    #[serde(deserialize_with = "present")]
    concerns: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Failure {
    code: String,
    message: String,
    #[serde(deserialize_with = "present")]
    hint: Option<String>,
    #[serde(deserialize_with = "present")]
    concerns: Option<String>,
}

/// Common fields of every object.
trait Envelope: DeserializeOwned {
    fn common(&self) -> (&str, Option<&str>, bool, &[Warning], &[Failure]);
}

/// The object of a command: its own fields between the common ones.
macro_rules! object {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct $name {
            schema: String,
            #[serde(deserialize_with = "present")]
            command: Option<String>,
            ok: bool,
            $($(#[$attribute])* $field: $type,)*
            warnings: Vec<Warning>,
            errors: Vec<Failure>,
        }

        impl Envelope for $name {
            fn common(&self) -> (&str, Option<&str>, bool, &[Warning], &[Failure]) {
                (&self.schema, self.command.as_deref(), self.ok, &self.warnings, &self.errors)
            }
        }
    };
}

object!(Nothing {});

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Source {
    path: String,
    /// Null if the file is the whole project.
    #[serde(deserialize_with = "present")]
    group: Option<String>,
    linked: bool,
    state: String,
    #[serde(deserialize_with = "present")]
    size_bytes: Option<u64>,
    #[serde(deserialize_with = "present")]
    mtime_ns: Option<i64>,
    #[serde(deserialize_with = "present")]
    file: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Job {
    scheduler: String,
    id: String,
    restart: u64,
    since: String,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Keeper {
    pid: u32,
    uid: u32,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Array {
    key: String,
    shape: Vec<u64>,
    dtype: String,
    #[serde(deserialize_with = "present")]
    size_bytes: Option<u64>,
    segment: String,
    missing: bool,
    #[serde(deserialize_with = "present")]
    #[allow(dead_code)]
    storage: Option<Storage>,
    attrs: Map<String, Value>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // deserialization checks the fields
struct Storage {
    layout: String,
    #[serde(deserialize_with = "present")]
    chunk: Option<Vec<u64>>,
    filters: Vec<String>,
    enum_names: Map<String, Value>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Project {
    name: String,
    state: String,
    changing: bool,
    #[serde(deserialize_with = "present")]
    reason: Option<String>,
    #[serde(deserialize_with = "present")]
    lifetime: Option<String>,
    #[serde(deserialize_with = "present")]
    keeper: Option<Keeper>,
    uid: u32,
    metadata: String,
    #[serde(deserialize_with = "present")]
    created: Option<String>,
    #[serde(deserialize_with = "present")]
    age_seconds: Option<i64>,
    jobs: Vec<Job>,
    sources: Vec<Source>,
    array_count: u64,
    missing_count: u64,
    size_bytes: u64,
    resident_bytes: u64,
    #[serde(deserialize_with = "present")]
    attached_pids: Option<Vec<u32>>,
    #[serde(deserialize_with = "present")]
    arrays: Option<Vec<Array>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Bound {
    what: String,
    free_bytes: u64,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Planned {
    path: String,
    shape: Vec<u64>,
    dtype: String,
    bytes: u64,
    #[serde(deserialize_with = "present")]
    first_row: Option<u64>,
    #[serde(deserialize_with = "present")]
    total_rows: Option<u64>,
}

object!(Load {
    host: String,
    #[serde(deserialize_with = "present")]
    rows: Option<String>,
    #[serde(deserialize_with = "present")]
    project: Option<String>,
    dry_run: bool,
    reused: bool,
    #[serde(deserialize_with = "present")]
    metadata: Option<String>,
    #[serde(deserialize_with = "present")]
    token: Option<String>,
    #[serde(deserialize_with = "present")]
    lifetime: Option<String>,
    array_count: u64,
    size_bytes: u64,
    needed_bytes: u64,
    decoding_bytes: u64,
    bounds: Vec<Bound>,
    #[serde(deserialize_with = "present")]
    elapsed_seconds: Option<f64>,
    #[serde(deserialize_with = "present")]
    rate_bytes: Option<u64>,
    sources: Vec<Source>,
    arrays: Vec<Planned>,
});

object!(List {
    projects: Vec<Project>,
});

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Note {
    path: String,
    reason: String,
}

object!(Show {
    #[serde(deserialize_with = "present")]
    project: Option<Project>,
    group_attrs: Map<String, Value>,
    left_out: Vec<Note>,
    #[serde(deserialize_with = "present")]
    #[allow(dead_code)]
    preview: Option<String>,
    #[serde(deserialize_with = "present")]
    #[allow(dead_code)]
    view_shape: Option<Vec<u64>>,
    #[serde(deserialize_with = "present")]
    #[allow(dead_code)]
    stats: Option<Value>,
    #[serde(deserialize_with = "present")]
    #[allow(dead_code)]
    plot: Option<String>,
    #[serde(deserialize_with = "present")]
    #[allow(dead_code)]
    python: Option<String>,
});

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Removed {
    project: String,
    segment_count: u64,
    freed_bytes: u64,
    mapped_bytes: u64,
    mapped_pids: Vec<u32>,
}

object!(Unlink {
    dry_run: bool,
    removed: Vec<Removed>,
});

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Item {
    project: String,
    root: Option<String>,
    uid: u32,
    state: Option<String>,
    action: String,
    reason: String,
    segment_count: u64,
    freed_bytes: u64,
    mapped_bytes: u64,
    mapped_pids: Vec<u32>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Check {
    name: String,
    level: String,
    message: String,
    #[serde(deserialize_with = "present")]
    hint: Option<String>,
}

object!(Doctor {
    host: String,
    checks: Vec<Check>,
});

object!(Gc {
    dry_run: bool,
    items: Vec<Item>,
    freed_bytes: u64,
    mapped_bytes: u64,
});

object!(Wait {
    #[serde(deserialize_with = "present")]
    project: Option<Project>,
    waited_seconds: f64,
});

/// Returns the object of a successful command.
#[track_caller]
fn good<T: Envelope>(run: &Run, command: &str) -> T {
    let object: T = run.json();
    let (schema, name, ok, _, errors) = object.common();
    assert_eq!((schema, name, ok, errors.len()), ("cute-shm/1", Some(command), true, 0));
    assert_eq!(run.code(), 0, "{}", run.transcript());
    object
}

/// Returns the object of a failed command.
#[track_caller]
fn bad<T: Envelope>(run: &Run, command: Option<&str>, code: &str) -> T {
    let object: T = run.json();
    let (schema, name, ok, _, errors) = object.common();
    assert_eq!((schema, name, ok), ("cute-shm/1", command, false), "{}", run.transcript());
    assert_eq!(errors[0].code, code, "{}", run.transcript());
    assert!(!errors[0].message.is_empty() && run.code() != 0, "{}", run.transcript());
    object
}

#[test]
fn load_hdf5_json_has_the_loaded_arrays() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    let run = sandbox.loads("p", &["load-hdf5", "-p", "p", "f.h5", "--json"]);
    let load: Load = good(&run, "load-hdf5");
    assert_eq!(load.project.as_deref(), Some("p"));
    assert_eq!(load.lifetime.as_deref(), Some("persistent"));
    assert_eq!(load.token.unwrap().len(), 5);
    assert_eq!(load.metadata.unwrap(), sandbox.metadata("p").to_string_lossy());
    assert_eq!((load.array_count, load.size_bytes, load.needed_bytes), (1, 16, 4096));
    assert_eq!(load.decoding_bytes, 0);
    assert!(load.elapsed_seconds.unwrap() > 0.0 && load.rate_bytes.unwrap() > 0);
    assert!(!load.dry_run && !load.reused && load.bounds.is_empty() && load.arrays.is_empty());
    let size = fs::metadata(sandbox.file("f.h5")).unwrap().len();
    assert_eq!((load.sources[0].size_bytes, &load.sources[0].group), (Some(size), &None));
    assert!(load.sources[0].mtime_ns.unwrap() > 0);
    assert!(load.sources[0].file.as_ref().unwrap().contains(':'));
    assert!(load.sources[0].path.ends_with("/f.h5"));
    let skipped: Vec<_> = load.warnings.iter().map(|warning| warning.concerns.as_deref()).collect();
    assert_eq!(skipped, [Some("/ragged"), Some("/reference")]);
    assert!(load.warnings.iter().all(|w| w.code == "skipped" && !w.message.is_empty()));
}

#[test]
fn load_hdf5_json_has_the_plan() {
    let sandbox = Sandbox::with_plain();
    let run = sandbox.run(&["load-hdf5", "p", "plain.h5", "--dry-run", "--json"]);
    let load: Load = good(&run, "load-hdf5");
    assert!(load.dry_run && load.token.is_none() && load.metadata.is_none());
    assert!(!load.host.is_empty() && load.rows.is_none());
    let arrays: Vec<_> =
        load.arrays.iter().map(|a| (&*a.path, &*a.shape, &*a.dtype, a.bytes)).collect();
    assert_eq!(arrays, [("/x", &[2, 3][..], "float64", 48), ("/y", &[3], "int32", 12)]);
    assert!(load.bounds.is_sorted_by_key(|bound| bound.free_bytes), "the tightest first");
    assert!(!load.bounds.is_empty() && !load.bounds[0].what.is_empty());
}

#[test]
fn load_hdf5_json_has_the_loaded_rows() {
    let mut sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-p", "p", "plain.h5", "--shard", "1/2", "--json"];
    let load: Load = good(&sandbox.loads("p", &args), "load-hdf5");
    assert_eq!(load.rows.as_deref(), Some("1/2"));
    let arrays: Vec<_> =
        load.arrays.iter().map(|a| (&*a.shape, a.first_row, a.total_rows)).collect();
    assert_eq!(arrays, [(&[1, 3][..], Some(1), Some(2)), (&[2], Some(1), Some(3))]);
    assert_eq!(load.size_bytes, 24 + 8);
}

#[test]
fn doctor_json_has_every_check() {
    let sandbox = Sandbox::with_project();
    crate::states::stale_project(&sandbox, "q");
    let run = sandbox.run(&["doctor", "--check", "--json"]);
    let doctor: Doctor = bad(&run, Some("doctor"), "findings");
    assert!(!doctor.host.is_empty() && doctor.checks.len() > 10);
    let left = doctor.checks.iter().find(|check| check.name == "leftovers").unwrap();
    assert_eq!((&*left.level, left.hint.as_deref()), ("warning", Some("run 'cute-shm gc'")));
    assert!(left.message.contains("'q' (stale)"), "{}", left.message);
    sandbox.run(&["gc"]);
}

#[test]
fn load_hdf5_json_has_the_error_of_a_load() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["load-hdf5", "-p", "p", "none.h5", "--json"]);
    let load: Load = bad(&run, Some("load-hdf5"), "not_found");
    assert_eq!(load.errors[0].concerns.as_deref(), Some("none.h5"));
    assert_eq!((load.project.as_deref(), load.array_count), (Some("p"), 0));
}

#[test]
fn load_hdf5_json_has_the_error_of_its_arguments() {
    let sandbox = Sandbox::with_plain();
    let run = sandbox.run(&["load-hdf5", "-p", "a/b", "plain.h5", "--json"]);
    let load: Load = bad(&run, Some("load-hdf5"), "usage");
    assert_eq!(load.project, None);
    assert!(load.errors[0].hint.is_some());
}

#[test]
fn list_without_projects_prints_json() {
    for args in [&["list", "--json"][..], &["list", "-s", "--json"], &["--json", "list", "x*"]] {
        let list: List = good(&Sandbox::new().run(args), "list");
        assert!(list.projects.is_empty());
    }
}

#[test]
fn list_json_has_every_array() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::attributes);
    sandbox.load("p", &["f.h5"]);
    let list: List = good(&sandbox.run(&["list", "--json"]), "list");
    let [project] = &list.projects[..] else { panic!("{list:?}") };
    assert_eq!((&*project.name, &*project.state, project.changing), ("p", "live", false));
    assert_eq!(
        (project.reason.as_deref(), project.lifetime.as_deref()),
        (None, Some("persistent"))
    );
    let uid = nix::unistd::Uid::effective().as_raw();
    assert_eq!((project.uid, project.keeper.as_ref().unwrap().uid), (uid, uid));
    assert!(project.keeper.as_ref().unwrap().pid > 0 && project.age_seconds.unwrap() >= 0);
    assert!(project.created.as_ref().unwrap().ends_with('Z'), "RFC 3339, UTC");
    assert_eq!(project.metadata, sandbox.metadata("p").to_string_lossy());
    assert_eq!((project.array_count, project.missing_count), (1, 0));
    assert_eq!((project.size_bytes, project.resident_bytes), (4, 4096));
    assert!(
        project.jobs.is_empty() && project.sources.len() == 1 && project.attached_pids.is_none()
    );
    let [array] = &project.arrays.as_ref().unwrap()[..] else { panic!("{project:?}") };
    assert_eq!((&*array.key, &*array.shape, &*array.dtype), ("/group/data", &[1][..], "float32"));
    assert_eq!((array.size_bytes, array.missing), (Some(4), false));
    assert_eq!(array.segment, sandbox.segments("p")[0]);
    let attrs = &array.attrs;
    assert_eq!(attrs["count"], 7);
    assert_eq!(attrs["negative"], -3);
    assert_eq!(attrs["largest"], i64::MAX);
    assert_eq!(attrs["flag"], true);
    assert_eq!(attrs["not_a_number"], "nan");
    assert_eq!(attrs["endless"], "inf");
    assert_eq!(attrs["row"], serde_json::json!([1, 2, 3]));
    assert!(attrs["count"].is_i64(), "an integer stays one");
}

#[test]
fn short_list_json_has_processes_but_no_arrays() {
    let sandbox = Sandbox::with_project();
    let list: List = good(&sandbox.run(&["list", "-s", "--json"]), "list");
    assert!(list.projects[0].arrays.is_none());
    assert_eq!(list.projects[0].attached_pids.as_deref(), Some(&[][..]));
}

#[test]
fn list_json_marks_missing_segments() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    let run = sandbox.run(&["list", "--check", "--json"]);
    let list: List = bad(&run, Some("list"), "findings");
    let project = &list.projects[0];
    assert_eq!((&*project.state, project.missing_count), ("broken", 1));
    let missing: Vec<_> = project.arrays.as_ref().unwrap().iter().map(|a| a.missing).collect();
    assert_eq!(missing, [true, false]);
    let warning = &list.warnings[0];
    assert_eq!((&*warning.code, warning.concerns.as_deref()), ("state", Some("p")));
}

#[test]
fn python_project_has_no_provenance() {
    let mut sandbox = Sandbox::new();
    crate::states::python_project(&sandbox, "p", &["aaaaaaaaaa"]);
    sandbox.unlink_at_end("p");
    let list: List = good(&sandbox.run(&["list", "--json"]), "list");
    let project = &list.projects[0];
    assert!(project.lifetime.is_none() && project.keeper.is_none() && project.created.is_none());
    assert!(project.sources.is_empty() && project.age_seconds.unwrap() >= 0);
}

#[test]
fn show_json_has_jobs_and_sources() {
    let mut sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-p", "p", "a=plain.h5", "b=plain.h5"];
    sandbox.command(&args).env("SLURM_JOB_ID", "42").env("SLURM_RESTART_COUNT", "2").run();
    sandbox.unlink_at_end("p");
    let show: Show = good(&sandbox.run(&["show", "p", "--json"]), "show");
    let project = show.project.unwrap();
    let job = &project.jobs[0];
    assert_eq!((&*job.scheduler, &*job.id, job.restart), ("slurm", "42", 2));
    assert!(job.since.ends_with('Z'));
    let groups: Vec<_> = project.sources.iter().map(|source| source.group.as_deref()).collect();
    assert_eq!(groups, [Some("a"), Some("b")]);
    assert_eq!(project.arrays.unwrap().len(), 4);
}

#[test]
fn show_json_has_group_attributes_and_skipped_data() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::attributes);
    sandbox.load("p", &["f.h5"]);
    let show: Show = good(&sandbox.run(&["show", "p", "--json"]), "show");
    assert_eq!(show.group_attrs["/"]["title"], "a file");
    assert_eq!(show.group_attrs["/group"]["level"], 1);
    assert_eq!(show.left_out[0].path, "/group/data@too_large");
    assert!(!show.left_out[0].reason.is_empty());
}

#[test]
fn show_json_with_a_key_has_the_objects_below_it() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::groups);
    sandbox.load("p", &["f.h5"]);
    let show: Show = good(&sandbox.run(&["show", "p", "/train", "--json"]), "show");
    let keys: Vec<_> = show.project.unwrap().arrays.unwrap().into_iter().map(|a| a.key).collect();
    assert_eq!(keys, ["/train/images", "/train/label"]);
}

#[test]
fn show_of_a_missing_project_prints_json() {
    let run = Sandbox::new().run(&["show", "none", "--json"]);
    let show: Show = bad(&run, Some("show"), "not_found");
    assert!(show.project.is_none() && show.group_attrs.is_empty());
    assert_eq!(show.errors[0].concerns.as_deref(), Some("none"));
    assert!(show.errors[0].hint.is_some());
}

#[test]
fn unlink_json_has_the_freed_bytes() {
    let sandbox = Sandbox::with_project();
    let dry: Unlink = good(&sandbox.run(&["unlink", "p", "--dry-run", "--json"]), "unlink");
    assert!(dry.dry_run);
    let unlink: Unlink = good(&sandbox.run(&["unlink", "p", "--json"]), "unlink");
    for removed in [&dry.removed[0], &unlink.removed[0]] {
        assert_eq!((&*removed.project, removed.segment_count), ("p", 2));
        assert_eq!((removed.freed_bytes, removed.mapped_bytes), (8192, 0));
        assert!(removed.mapped_pids.is_empty());
    }
}

#[test]
fn unlink_json_has_every_failure() {
    let sandbox = Sandbox::with_project();
    let run = sandbox.run(&["unlink", "none", "p", "--json"]);
    let unlink: Unlink = bad(&run, Some("unlink"), "not_found");
    assert_eq!(unlink.removed.len(), 1);
    assert_eq!(unlink.errors.last().unwrap().code, "partial");
    let forced: Unlink = good(&sandbox.run(&["unlink", "-f", "none", "--json"]), "unlink");
    assert!(forced.removed.is_empty());
}

#[test]
fn gc_json_has_every_project_with_a_reason() {
    let sandbox = Sandbox::with_project();
    crate::states::stale_project(&sandbox, "q");
    let check = sandbox.run(&["gc", "--check", "--json"]);
    let check: Gc = bad(&check, Some("gc"), "findings");
    assert!(check.dry_run);
    let gc: Gc = good(&sandbox.run(&["gc", "--json"]), "gc");
    let items: Vec<_> =
        gc.items.iter().map(|i| (&*i.project, i.state.as_deref(), &*i.action)).collect();
    assert_eq!(items, [("p", Some("live"), "skipped"), ("q", Some("stale"), "reaped")]);
    let root = sandbox.root().to_string_lossy().into_owned();
    assert!(gc.items.iter().all(|item| item.root.as_ref() == Some(&root)));
    assert!(gc.items.iter().all(|item| !item.reason.is_empty() && item.mapped_pids.is_empty()));
    assert!(gc.items.iter().all(|item| item.uid == nix::unistd::Uid::effective().as_raw()));
    let sum = |of: fn(&Item) -> u64| gc.items.iter().map(of).sum::<u64>();
    assert_eq!(
        (gc.freed_bytes, gc.mapped_bytes),
        (sum(|i| i.freed_bytes), sum(|i| i.mapped_bytes))
    );
    assert_eq!(sum(|item| item.segment_count), 0);
}

#[test]
fn gc_without_projects_prints_json() {
    let gc: Gc = good(&Sandbox::new().run(&["gc", "--json"]), "gc");
    assert!(gc.items.is_empty());
}

#[test]
fn wait_json_has_the_project_or_the_timeout() {
    let sandbox = Sandbox::with_project();
    let wait: Wait = good(&sandbox.run(&["wait", "p", "--json"]), "wait");
    assert_eq!(wait.project.unwrap().name, "p");
    let run = sandbox.run(&["wait", "q", "--timeout", "0", "--json"]);
    let wait: Wait = bad(&run, Some("wait"), "busy");
    assert!(wait.project.is_none() && wait.waited_seconds >= 0.0);
}

#[test]
fn commands_that_print_text_also_print_json() {
    let sandbox = Sandbox::new();
    let _: Nothing = good(&sandbox.run(&["completions", "bash", "--json"]), "completions");
    let _: Nothing = good(&sandbox.run(&["man", "--json"]), "man");
    let _: Nothing = good(&sandbox.run(&["help", "--json"]), "help");
    let _: Nothing = bad(&sandbox.run(&["man", "/dev/null/x", "--json"]), Some("man"), "io");
}

#[test]
fn usage_error_is_reported_as_json() {
    let sandbox = Sandbox::new();
    for args in [
        &["--json"][..],
        &["--json", "no-such-command"],
        &["list", "--json", "--no-such-option"],
        &["show", "--json"],
        &["load-hdf5", "--json", "p", "f.h5", "--mode", "x"],
    ] {
        let nothing: Nothing = bad(&sandbox.run(args), None, "usage");
        assert!(nothing.errors[0].hint.is_some() && nothing.errors[0].concerns.is_none());
    }
}

#[test]
fn warnings_of_a_quiet_load_are_in_the_json() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    let run = sandbox.loads("p", &["load-hdf5", "-qp", "p", "f.h5", "--json"]);
    let load: Load = good(&run, "load-hdf5");
    assert_eq!((load.warnings.len(), run.stderr()), (2, ""));
}

#[test]
fn json_keys_have_a_fixed_order() {
    let run = Sandbox::new().run(&["list", "--json"]);
    assert_eq!(
        run.stdout(),
        "{\"schema\":\"cute-shm/1\",\"command\":\"list\",\"ok\":true,\"projects\":[],\
         \"warnings\":[],\"errors\":[]}\n"
    );
}
