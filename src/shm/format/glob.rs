//! `--include` and `--exclude`: globs on the paths of datasets.

use std::collections::BTreeSet;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, Kind, Result};

/// Patterns of each glob: the path itself, and what is below it.
const PATTERNS: usize = 2;

/// Which dataset paths are wanted. A glob without a leading `/` matches at any depth; one that names a
/// group takes everything below it.
#[derive(Debug, Clone)]
pub(crate) struct PathFilter {
    include: Option<GlobSet>,
    exclude: GlobSet,
    included: Vec<String>,
}

impl PathFilter {
    /// No include means all.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a glob that is none.
    pub(crate) fn new(included: &[String], exclude: &[String]) -> Result<Self> {
        let include = (!included.is_empty()).then(|| set(included)).transpose()?;
        Ok(Self { include, exclude: set(exclude)?, included: included.to_vec() })
    }

    /// Whether the dataset at `path` (`/group/name`) is wanted.
    pub(crate) fn takes(&self, path: &str) -> bool {
        let included = self.include.as_ref().is_none_or(|set| set.is_match(path));
        included && !self.exclude.is_match(path)
    }

    /// Notes in `met` which globs to include match this path.
    pub(crate) fn meet(&self, path: &str, met: &mut BTreeSet<usize>) {
        if let Some(include) = self.include.as_ref().filter(|_| met.len() < self.included.len()) {
            // Each glob is two patterns of the set.
            met.extend(include.matches(path).into_iter().map(|number| number / PATTERNS));
        }
    }

    /// The globs to include that are not in `met`.
    pub(crate) fn unmatched(&self, met: &BTreeSet<usize>) -> impl Iterator<Item = &str> {
        let globs = self.included.iter().enumerate();
        globs.filter(|(number, _)| !met.contains(number)).map(|(_, glob)| glob.as_str())
    }
}

/// One glob on paths, as `--include` has them.
pub(crate) fn glob(text: &str) -> std::result::Result<Glob, globset::Error> {
    GlobBuilder::new(&format!("{}{{,/**}}", anchored(text)))
        .literal_separator(true)
        .empty_alternates(true)
        .build()
}

/// A glob without a leading `/` matches at any depth.
fn anchored(glob: &str) -> String {
    match glob.starts_with('/') {
        true => glob.trim_end_matches('/').to_owned(),
        false => format!("**/{}", glob.trim_end_matches('/')),
    }
}

fn set(globs: &[String]) -> Result<GlobSet> {
    let bad = |e: globset::Error| {
        Error::new(Kind::Usage, format!("invalid glob: {e}"))
            .with_hint("'*' matches within one name, '**' across groups: '/images/*', '**/label'")
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let anchored = anchored(glob);
        let patterns: [String; PATTERNS] = [anchored.clone(), format!("{anchored}/**")];
        for pattern in patterns {
            set.add(GlobBuilder::new(&pattern).literal_separator(true).build().map_err(bad)?);
        }
    }
    set.build().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> PathFilter {
        let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
        PathFilter::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn without_globs_everything_is_taken() {
        assert!(filter(&[], &[]).takes("/a/b"));
    }

    #[test]
    fn a_star_stays_within_a_name() {
        let filter = filter(&["/a/*"], &[]);
        assert!(filter.takes("/a/b") && filter.takes("/a/b/c") && !filter.takes("/b/a/b"));
        assert!(!super::PathFilter::new(&["/a*/x".to_owned()], &[]).unwrap().takes("/a/b/x"));
    }

    #[test]
    fn a_group_takes_what_is_below_it_and_exclude_wins() {
        let filter = filter(&["/train"], &["label"]);
        assert!(
            filter.takes("/train/x")
                && !filter.takes("/train/deep/label")
                && !filter.takes("/test/x")
        );
    }

    #[test]
    fn a_glob_that_matches_nothing_is_known() {
        let filter = filter(&["/a", "/typo/*", "label"], &["/a/b"]);
        let mut met = BTreeSet::new();
        filter.meet("/a/b", &mut met);
        filter.meet("/x", &mut met);
        assert_eq!(filter.unmatched(&met).collect::<Vec<_>>(), ["/typo/*", "label"]);
        filter.meet("/deep/label", &mut met);
        assert_eq!(filter.unmatched(&met).collect::<Vec<_>>(), ["/typo/*"]);
    }

    #[test]
    fn a_bad_glob_is_a_usage_error() {
        assert_eq!(PathFilter::new(&["[".to_owned()], &[]).unwrap_err().kind(), Kind::Usage);
    }
}
