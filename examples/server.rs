//! Updates a shared array under a file lock, like `demo_server`. All elements are always equal.
//!
//!     cargo run --example server -- PROJECT LOCKFILE [ROUNDS]

use std::time::Duration;

use cute_shm::{FileLock, Node, Result, Tree};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let project = args.next().unwrap_or_else(|| "demo".to_owned());
    let lock = FileLock::new(args.next().unwrap_or_else(|| "/tmp/cute-shm-demo.lock".to_owned()));
    let rounds: i64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(1000);

    let node = Node::from_env();
    let start = vec![0_i64; 10_000];
    let mut tree = Tree::new();
    tree.array("data", &start)?;
    let guard = node.share(&project).overwrite(true).hold(&tree)?;
    let attached = guard.open()?;
    println!("ready");
    for round in 1..=rounds {
        let mut writing = attached.write_locked(&lock, Duration::from_secs(10))?;
        for number in writing.slice_mut::<i64>("data")? {
            *number = round;
        }
        drop(writing);
        std::thread::sleep(Duration::from_millis(2));
    }
    guard.remove()
}
