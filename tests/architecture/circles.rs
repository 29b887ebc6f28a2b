//! Circles of imports between the modules of one folder.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::Import;

/// The imports between the children of a folder: from, to, and the import.
type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Vec<&'a Import>>>;

/// Each circle: the folder, the children of it that lead to each other, and the imports between them.
pub fn circles(imports: &[Import]) -> Vec<(Vec<String>, Vec<String>, Vec<&Import>)> {
    let mut folders: BTreeMap<&[String], Edges<'_>> = BTreeMap::new();
    for import in imports {
        let common = import.from.iter().zip(&import.to).take_while(|(a, b)| a == b).count();
        let (Some(from), Some(to)) = (import.from.get(common), import.to.get(common)) else {
            continue;
        };
        let edges = folders.entry(&import.from[..common]).or_default();
        edges.entry(from).or_default().entry(to).or_default().push(import);
    }
    let mut found = Vec::new();
    for (folder, edges) in &folders {
        for circle in components(edges) {
            let within =
                |(from, to): (&&str, &&str)| circle.contains(*from) && circle.contains(*to);
            let between =
                edges.iter().flat_map(|(from, to)| to.iter().map(move |(to, all)| (from, to, all)));
            let used = between.filter(|(from, to, _)| within((from, to))).flat_map(|(.., all)| all);
            let names = circle.iter().map(|&name| name.to_owned()).collect();
            found.push((folder.to_vec(), names, used.copied().collect()));
        }
    }
    found
}

/// The sets of children of which each reaches every other.
fn components<'a>(edges: &Edges<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let reached = |from: &'a str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(next) = open.pop() {
            for &to in edges.get(next).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|&from| (from, reached(from))).collect();
    let mutual = |a: &str, b: &str| {
        reach[a].contains(b) && reach.get(b).is_some_and(|back| back.contains(a))
    };
    let circle =
        |from: &'a str| reach[from].iter().copied().filter(|to| mutual(from, to)).collect();
    edges
        .keys()
        .map(|&from| circle(from))
        .filter(|circle: &BTreeSet<&str>| circle.len() > 1)
        .collect()
}
