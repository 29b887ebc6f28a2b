//! Shares a nested tree of arrays, like `demo_transfer` of the Python package.
//!
//!     cargo run --example transfer -- PROJECT            until Enter is pressed
//!     cargo run --example transfer -- PROJECT --persist  until it is unlinked

use cute_shm::{Node, Result, Source, Tree};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let project = args.next().unwrap_or_else(|| "demo".to_owned());
    let persist = args.any(|arg| arg == "--persist");

    let a = ndarray::arr2(&[[12_i64, 0, 0], [0, 10, 0], [0, 0, 0]]);
    let b1 = ndarray::Array1::<f32>::linspace(0.0, 1.0, 100);
    let b2 = vec![false; 300];
    let mut tree = Tree::new();
    tree.array("a", a.t())?.attr("units", "m");
    tree.array("b/b1", &b1)?;
    tree.array("b/b2", &b2)?;
    tree.array("names", Source::raw(b"ada\0bob\0", "|S4", &[2])?)?;

    let share = Node::from_env().share(&project).overwrite(true);
    if persist {
        let report = share.persist(&tree)?;
        println!("{} arrays, {} bytes: {}", report.arrays, report.bytes, report.metadata.display());
        return Ok(());
    }
    let guard = share.hold(&tree)?;
    println!("'{}' is shared: press Enter to remove it", guard.name());
    // Any input, end of file and an error end the wait.
    let _ = std::io::stdin().read_line(&mut String::new());
    guard.remove()
}
