//! Loads an HDF5 file as a persistent project, like `demo_hdf5`, and prints the skipped objects.
//!
//!     cargo run --example hdf5 -- PROJECT FILE [--include GLOB]

use cute_shm::{Node, Note, Observer, Planned, Result};

struct Printer;

impl Observer for Printer {
    fn planned(&mut self, plan: &Planned) {
        println!("{} arrays, {} bytes", plan.arrays.len(), plan.bytes());
    }
    fn warn(&mut self, note: &Note) {
        println!("skipped {}: {}", note.path, note.reason);
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [project, file, options @ ..] = args.as_slice() else {
        eprintln!("usage: hdf5 PROJECT FILE [--include GLOB]");
        return Ok(());
    };
    println!("{} bytes in the file's arrays", cute_shm::hdf5_size(file)?);
    let mut printer = Printer;
    let mut load = Node::from_env().load_hdf5(project, file).overwrite(true).observer(&mut printer);
    if let [flag, glob] = options
        && flag == "--include"
    {
        load = load.include(glob);
    }
    let report = load.persist()?;
    println!("{} bytes in {:?}: {}", report.bytes, report.elapsed, report.metadata.display());
    Ok(())
}
