//! Where the user's Python environment has plugins for filters that are not built in.

use std::path::{Path, PathBuf};

/// What to do about datasets that are compressed with these filters, each `name (filter number)`.
/// `prefixes` are the Python environments in which hdf5plugin may be installed.
pub(super) fn advice(missing: &[String], prefixes: &[PathBuf]) -> Option<String> {
    let names = missing.join(", ");
    let first = missing.first()?;
    let which = match missing.len() {
        1 => format!("plugin of {first}"),
        _ => "plugins of these filters".to_owned(),
    };
    let has_all = |directory: &PathBuf| missing.iter().all(|filter| has(directory, filter));
    let found: Vec<PathBuf> = prefixes.iter().flat_map(|prefix| directories(prefix)).collect();
    Some(match found.iter().find(|directory| has_all(directory)) {
        Some(directory) => {
            let directory = crate::error::word(&directory.to_string_lossy());
            format!("to load data behind {names}, set HDF5_PLUGIN_PATH={directory}")
        }
        None => format!(
            "to load data behind {names}, install the HDF5 {which} ('pip install hdf5plugin' has many) \
             and set HDF5_PLUGIN_PATH to its directory"
        ),
    })
}

/// Whether a directory has a plugin for a filter, under the name that hdf5plugin gives it.
fn has(directory: &Path, filter: &str) -> bool {
    let name = filter.split(' ').next().unwrap_or_default();
    ["so", "dylib"].iter().any(|end| directory.join(format!("libh5{name}.{end}")).is_file())
}

/// The plugin directories of hdf5plugin in a Python environment.
fn directories(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for library in ["lib", "lib64", "local/lib"] {
        let Ok(entries) = std::fs::read_dir(prefix.join(library)) else { continue };
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().starts_with("python3") {
                continue;
            }
            for packages in ["site-packages", "dist-packages"] {
                let plugins = entry.path().join(packages).join("hdf5plugin/plugins");
                if plugins.is_dir() {
                    found.push(plugins);
                }
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn advice_names_the_directory_that_has_every_plugin() {
        let temp = tempfile::tempdir().unwrap();
        let plugins = temp.path().join("lib/python3.13/site-packages/hdf5plugin/plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        std::fs::write(plugins.join("libh5sz.so"), "").unwrap();
        let prefixes = [temp.path().join("nowhere"), temp.path().to_owned()];
        let advice = |missing: &[&str]| {
            let missing: Vec<String> = missing.iter().map(|&name| name.to_owned()).collect();
            super::advice(&missing, &prefixes)
        };
        assert_eq!(advice(&[]), None);
        let found = advice(&["sz (filter 32017)"]).unwrap();
        let shown = plugins.to_string_lossy();
        assert_eq!(
            found,
            format!("to load data behind sz (filter 32017), set HDF5_PLUGIN_PATH={shown}")
        );
        let found = advice(&["mafisc (filter 32002)", "sz (filter 32017)"]).unwrap();
        assert!(found.contains("pip install hdf5plugin"), "{found}");
        assert!(found.contains("mafisc (filter 32002), sz (filter 32017)"), "{found}");
    }
}
