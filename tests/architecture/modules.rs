//! The modules of the source tree: their files, and the module that a path in one of them leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path as FilePath, PathBuf};

use crate::source::{self, Path, Token};

/// One module: a file.
pub struct Module {
    /// Its file, from the top of the tree.
    pub file: String,
    pub tokens: Vec<Token>,
    /// The names that it exports again, and the paths that they stand for.
    exported: BTreeMap<String, Vec<String>>,
}

/// All modules, by their paths: `["cute_shm", "shm", "name"]`.
pub struct Modules(pub BTreeMap<Vec<String>, Module>);

/// One use of a module by another.
#[derive(Debug)]
pub struct Import {
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub line: usize,
}

impl Modules {
    /// Reads `src` and `crates/*/src` below `top`. Files of tests and for fuzzing are left out.
    pub fn read(top: &FilePath) -> Self {
        let mut modules = BTreeMap::new();
        let mut roots = vec![("cute_shm".to_owned(), top.join("src"))];
        for folder in entries(&top.join("crates")) {
            let name = folder.file_name().unwrap().to_string_lossy().replace('-', "_");
            roots.push((name, folder.join("src")));
        }
        for (name, folder) in roots {
            read_folder(top, &folder, &[name], &mut modules);
        }
        Self(modules)
    }

    /// Every use of another module of the tree.
    pub fn imports(&self) -> Vec<Import> {
        let crates: BTreeSet<&String> = self.0.keys().map(|path| &path[0]).collect();
        let begins = |word: &str| {
            ["crate", "self", "super"].contains(&word) || crates.contains(&word.to_owned())
        };
        let mut found = Vec::new();
        for (from, module) in &self.0 {
            for Path { names, line } in source::paths(&module.tokens, begins) {
                let path = absolute(from, &names);
                // `crate::Name` goes through lib.rs, whatever stands behind the name.
                let is_root =
                    path[0] == from[0] && !self.0.contains_key(&path[..path.len().min(2)]);
                let to = if is_root { path[..1].to_vec() } else { self.resolve(&path, 0) };
                if to != *from && self.0.contains_key(&to) {
                    found.push(Import { from: from.clone(), to, line });
                }
            }
        }
        found
    }

    /// The module that defines a name: re-exports are followed.
    fn resolve(&self, path: &[String], depth: usize) -> Vec<String> {
        let known = (1..=path.len()).rev().find(|&length| self.0.contains_key(&path[..length]));
        let Some(length) = known else { return Vec::new() };
        let exported = path.get(length).and_then(|name| self.0[&path[..length]].exported.get(name));
        match exported {
            Some(inner) if depth < 8 => {
                let full = [inner, &path[length + 1..]].concat();
                self.resolve(&full, depth + 1)
            }
            _ => path[..length].to_vec(),
        }
    }
}

fn entries(folder: &FilePath) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read_folder(
    top: &FilePath,
    folder: &FilePath,
    path: &[String],
    modules: &mut BTreeMap<Vec<String>, Module>,
) {
    for entry in entries(folder) {
        let stem = entry.file_stem().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() {
            read_folder(top, &entry, &[path, &[stem]].concat(), modules);
        } else if entry.extension().is_some_and(|end| end == "rs") && !is_for_tests(&stem) {
            let own = match stem.as_str() {
                "lib" | "mod" => path.to_vec(),
                _ => [path, &[stem]].concat(),
            };
            let text = std::fs::read_to_string(&entry).unwrap();
            let tokens = source::tokens(&text);
            let exported = exported(&own, &tokens);
            let file = entry.strip_prefix(top).unwrap().to_string_lossy().into_owned();
            modules.insert(own, Module { file, tokens, exported });
        }
    }
}

fn is_for_tests(stem: &str) -> bool {
    ["tests", "fuzz", "fuzzing"].contains(&stem)
}

/// The `pub use` of a module, by name.
fn exported(own: &[String], tokens: &[Token]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for item in source::items(tokens) {
        let (at, word) = source::keyword(item);
        if word != "use" || at == 0 {
            continue;
        }
        let mut paths = Vec::new();
        source::tree(item, at + 1, &[], &mut paths);
        for Path { names, .. } in paths {
            let last = names.last().unwrap().clone();
            let full = match names[0].as_str() {
                "crate" | "self" | "super" => absolute(own, &names),
                _ => [own, &names].concat(),
            };
            found.insert(last, full);
        }
    }
    found
}

/// A path from the root of its crate, which has the crate's name.
fn absolute(own: &[String], names: &[String]) -> Vec<String> {
    let mut base = own.to_vec();
    let mut rest = names;
    match names[0].as_str() {
        "crate" => base.truncate(1),
        "self" => {}
        "super" => drop(base.pop()),
        _ => return names.to_vec(),
    }
    rest = &rest[1..];
    while rest.first().is_some_and(|name| name == "super") {
        base.pop();
        rest = &rest[1..];
    }
    [&base, rest].concat()
}
