//! x
use crate::fixtures;
use crate::sandbox::{Sandbox, outcome};

#[test]
fn try_all() {
    for (n, w) in [("plain", fixtures::plain as fn(&std::path::Path)), ("groups", fixtures::groups), ("compound", fixtures::compound),
    ("strings", fixtures::strings), ("attributes", fixtures::attributes), ("es", fixtures::empty_and_scalar), ("nothing", fixtures::nothing),
    ("links", fixtures::links), ("unsupported", fixtures::unsupported), ("ragged_field", fixtures::ragged_field), ("damaged", fixtures::damaged), ("truncated", fixtures::truncated)] {
        let mut s = Sandbox::with("f.h5", w);
        println!("===== {n}\n{}", s.run(&["load-hdf5", "p", "f.h5", "-p"]).text());
        println!("{}", s.run(&["load-hdf5", "p", "f.h5", "-op", "-vv", "--keep-going"]).text());
        println!("{}", s.run(&["show", "p"]).text());
        println!("{}", s.run(&["list"]).text());
        s.unlink_at_end("p");
    }
    let s = Sandbox::with_plain();
    outcome!(s.run(&["list"]), "");
}
