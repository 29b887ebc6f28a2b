//! Loads an HDF5 file as a project that stays, as `demo_hdf5` does, and tells what was left out.
//!
//!     cargo run --example hdf5 -- PROJECT FILE [--include GLOB]

use cute_shm::{Node, Note, Observer, Planned, Result};

struct Told;

impl Observer for Told {
    fn planned(&mut self, plan: &Planned) {
        println!("{} arrays, {} bytes", plan.arrays.len(), plan.bytes());
    }
    fn warn(&mut self, note: &Note) {
        println!("left out: {}: {}", note.path, note.reason);
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [project, file, options @ ..] = args.as_slice() else {
        eprintln!("usage: hdf5 PROJECT FILE [--include GLOB]");
        return Ok(());
    };
    println!("{} bytes in the file's arrays", cute_shm::hdf5_size(file)?);
    let mut told = Told;
    let mut load = Node::from_env().load_hdf5(project, file).overwrite(true).observer(&mut told);
    if let [flag, glob] = options
        && flag == "--include"
    {
        load = load.include(glob);
    }
    let report = load.persist()?;
    println!("{} bytes in {:?}: {}", report.bytes, report.elapsed, report.metadata.display());
    Ok(())
}
