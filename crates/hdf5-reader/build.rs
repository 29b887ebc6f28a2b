//! Checks the version of the HDF5 library to link, before the linker reports every function that it lacks.

use std::env;

/// The first version with `H5Tdecode2` and complex numbers.
const OLDEST: &str = "2.0.0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let bundled = env::var_os("CARGO_FEATURE_BUNDLED_HDF5").is_some();
    let system = env::var_os("CARGO_FEATURE_SYSTEM_HDF5").is_some();
    if !bundled && !system {
        println!("cargo::error=choose where HDF5 comes from: feature bundled-hdf5 or system-hdf5");
    } else if !bundled && !is_there(OLDEST) {
        let found =
            newest().map_or_else(|| "another".to_owned(), |version| format!("HDF5 {version}"));
        println!(
            "cargo::error=system-hdf5 needs HDF5 {OLDEST} or newer, and {found} is what was found: \
             set HDF5_DIR to a newer one, or build with bundled-hdf5, the default"
        );
    }
}

/// Whether the bindings found this version or a newer one. They set a variable for each version.
fn is_there(version: &str) -> bool {
    env::var_os(format!("DEP_HDF5_VERSION_{}", version.replace('.', "_"))).is_some()
}

/// The newest version for which there is a variable.
fn newest() -> Option<String> {
    let numbers = |name: &str| -> Option<Vec<u32>> {
        name.strip_prefix("DEP_HDF5_VERSION_")?
            .split('_')
            .map(|number| number.parse().ok())
            .collect()
    };
    let newest = env::vars().filter_map(|(name, _)| numbers(&name)).max()?;
    Some(newest.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
}
