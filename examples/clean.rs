//! Lists the projects of this node, or removes the named ones, like `demo_clean`.
//!
//!     cargo run --example clean -- [PROJECT...]

use cute_shm::{Node, Result};

fn main() -> Result<()> {
    let node = Node::from_env();
    let mut names = std::env::args().skip(1).peekable();
    if names.peek().is_none() {
        for project in node.projects()? {
            println!("{}\t{}\t{} bytes", project.name, project.state, project.bytes);
        }
    }
    for name in names {
        let removed = node.unlink(&name)?;
        println!("{name}: {} segments, {} bytes", removed.segments, removed.bytes);
    }
    Ok(())
}
