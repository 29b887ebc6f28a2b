//! `--rows`, `--shard` and `--as-user`: a part of each array, and loads as another user.

use crate::program::{Sandbox, is_root};

/// Returns path and shape of each array in the plan of a dry run.
fn planned(sandbox: &Sandbox, options: &[&str]) -> Vec<(String, Vec<u64>)> {
    let mut args = vec!["load-hdf5", "p", "plain.h5", "--dry-run", "--json"];
    args.extend(options);
    let plan = sandbox.run(&args).json::<serde_json::Value>();
    let arrays = plan["arrays"].as_array().unwrap().iter();
    let shape = |array: &serde_json::Value| serde_json::from_value(array["shape"].clone()).unwrap();
    arrays.map(|array| (array["path"].as_str().unwrap().to_owned(), shape(array))).collect()
}

#[test]
fn rows_are_clipped_like_slices() {
    let sandbox = Sandbox::with_plain();
    let shapes = |rows| planned(&sandbox, &["--rows", rows]).into_iter().map(|(_, shape)| shape);
    assert!(shapes("1:").eq([vec![1, 3], vec![2]]));
    assert!(shapes("0:2").eq([vec![2, 3], vec![2]]));
    assert!(shapes("2:9").eq([vec![0, 3], vec![1]]));
}

#[test]
fn share_is_read_from_the_scheduler_environment() {
    let sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "p", "plain.h5", "--dry-run", "--shard", "auto", "--json"];
    let missing = sandbox.run(&args);
    assert_eq!(missing.code(), 2, "{}", missing.transcript());
    let node = sandbox.command(&args).env("SLURM_NODEID", "1").env("SLURM_NNODES", "2").run();
    assert_eq!(node.json::<serde_json::Value>()["rows"], "1/2");
    for bad in [&["--shard", "2/2"][..], &["--rows", "5:2"], &["--rows", "1:2", "--shard", "0/2"]] {
        let args = [&["load-hdf5", "p", "plain.h5"][..], bad].concat();
        assert_eq!(sandbox.run(&args).code(), 2, "{bad:?}");
    }
}

#[test]
fn only_root_loads_as_another_user() {
    let sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "p", "plain.h5", "--as-user", "no-such-user"];
    assert_eq!(sandbox.run(&args).code(), 3);
    if is_root() {
        let args = ["load-hdf5", "p", "plain.h5", "--as-user", "root"];
        let run = sandbox.command(&args).unprivileged().run();
        assert_eq!(run.code(), 6, "{}", run.transcript());
    }
}
