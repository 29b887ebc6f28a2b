//! Finds HDF5 plugins in the Python environments of the user.

use std::path::{Path, PathBuf};

/// Returns advice for datasets that are compressed with these filters, each `name (filter number)`.
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
    Some(if let Some(directory) = found.iter().find(|directory| has_all(directory)) {
        let directory = crate::error::shell_quote(&directory.to_string_lossy());
        format!("to load data with {names}, set HDF5_PLUGIN_PATH={directory}")
    } else {
        let source = source(missing);
        format!(
            "to load data with {names}, install the HDF5 {which}{source} and set HDF5_PLUGIN_PATH to its directory"
        )
    })
}

/// Registered names of the filters of hdf5plugin 7 that are not built in.
const IN_HDF5PLUGIN: [&str; 5] = ["fcidecomp", "htj2k", "sperr", "sz", "sz3"];

/// Returns the known source of the plugins for these filters. PyTables has LZO in an extension module, not as a plugin.
fn source(missing: &[String]) -> &'static str {
    let is_in = |filter: &String| IN_HDF5PLUGIN.contains(&name(filter));
    if missing.iter().all(is_in) {
        " ('pip install hdf5plugin')"
    } else if missing.iter().any(is_in) {
        " ('pip install hdf5plugin' has some of them)"
    } else if missing.iter().all(|filter| name(filter) == "lzo") {
        ", or rewrite the file with PyTables ('ptrepack --complib zlib IN OUT'),"
    } else {
        ""
    }
}

/// Returns the name in `name (filter number)`.
fn name(filter: &str) -> &str {
    filter.split(' ').next().unwrap_or_default()
}

/// Whether a directory has a plugin for a filter, under the name that hdf5plugin gives it.
fn has(directory: &Path, filter: &str) -> bool {
    let name = name(filter);
    ["so", "dylib"].iter().any(|end| directory.join(format!("libh5{name}.{end}")).is_file())
}

/// Returns the plugin directories of hdf5plugin in a Python environment.
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
            format!("to load data with sz (filter 32017), set HDF5_PLUGIN_PATH={shown}")
        );
        let found = advice(&["mafisc (filter 32002)", "sz (filter 32017)"]).unwrap();
        assert!(found.contains("pip install hdf5plugin"), "{found}");
        assert!(found.contains("mafisc (filter 32002), sz (filter 32017)"), "{found}");
    }

    #[test]
    fn advice_offers_hdf5plugin_only_for_its_filters() {
        let advice = |missing: &str| super::advice(&[missing.to_owned()], &[]).unwrap();
        assert!(advice("sz3 (filter 32024)").contains("'pip install hdf5plugin'"));
        assert!(advice("lzo (filter 305)").contains("'ptrepack --complib zlib IN OUT'"));
        for missing in ["lzo (filter 305)", "mafisc (filter 32002)", "filter 40000"] {
            assert!(!advice(missing).contains("hdf5plugin"), "{missing}");
        }
    }
}
