//! Reports the plan and the outcome of a load.

use super::body::Body;
use super::plugins;
use crate::load::{Outcome, Planned, Request};
use crate::os::memory;
use crate::output::Output;
use crate::output::json::Warning;
use crate::output::progress::Progress;
use crate::output::table::{Columns, Give};
use crate::shm::store::node_dirs::NodeDirs;
use crate::text;

pub(super) fn report_plan(
    dirs: &NodeDirs,
    request: &Request,
    planned: &Planned,
    progress: Progress,
    output: &mut Output<'_, Body>,
) {
    let need = planned.need();
    let bounds = memory::bounds(&dirs.shm);
    let binding = need.binding(&bounds);
    let free = binding.map_or(u64::MAX, |(bound, _)| bound.free_bytes);
    let fits = if binding.is_none_or(|(_, fits)| fits) { "fits" } else { "does not fit" };
    let what = binding.map_or("", |(bound, _)| &bound.what).to_owned();
    let decoding = match need.decoding_bytes {
        0 => String::new(),
        bytes => format!(", {} to decode", text::size(bytes)),
    };
    let mut columns = Columns::new(&["array", "shape", "dtype", ">size"], &[(0, Give::Middle(12))]);
    for array in &planned.arrays {
        columns.row(vec![
            array.path.clone().into(),
            text::shape(&array.shape).into(),
            array.dtype.clone().into(),
            text::size(array.bytes).into(),
        ]);
    }
    if !columns.is_empty() {
        output.print(columns.render(output.context.width, ""));
    }
    let arrays = text::count(planned.arrays.len() as u64, "array");
    let (needed, free) = (text::size(need.bytes), text::size(free));
    output.line(format!("{arrays}: {needed} needed{decoding}, {free} free ({what}): it {fits}"));
    fill(planned, progress, output);
    warn_of_outside(request, planned, output);
    output.body.bounds = bounds;
    output.body.arrays.clone_from(&planned.arrays);
}

fn fill(planned: &Planned, mut progress: Progress, output: &mut Output<'_, Body>) {
    for warning in std::mem::take(&mut progress.warnings) {
        output.note(warning);
    }
    let prefixes = &output.context.python_prefixes;
    if let Some(advice) = plugins::advice(&planned.missing_filters, prefixes) {
        output.advise(Warning::new("filters", advice));
    }
    for rule in &planned.unmatched_dtypes {
        let message =
            format!("--dtype '{rule}' matches nothing; --dry-run without it lists the datasets");
        output.warn(Warning::new("unmatched", message));
    }
    warn_of_attributes(planned, output);
    output.body.array_count = planned.arrays.len() as u64;
    output.body.size_bytes = planned.bytes();
    output.body.needed_bytes = planned.need().bytes;
    output.body.decoding_bytes = planned.decoding_bytes;
    output.body.sources.clone_from(&planned.sources);
    if output.body.rows.is_some() {
        output.body.arrays.clone_from(&planned.arrays);
    }
}

pub(super) fn report_outcome(
    dirs: &NodeDirs,
    request: &Request,
    outcome: &Outcome,
    progress: Progress,
    output: &mut Output<'_, Body>,
) {
    fill(&outcome.planned, progress, output);
    let metadata = dirs.root.as_ref().map(|root| root.join(&request.project.metadata_file()));
    let metadata = metadata.unwrap_or_default();
    let seconds = outcome.elapsed.as_secs_f64();
    let rate = rate(outcome.bytes, seconds);
    output.body.array_count = outcome.arrays;
    output.body.size_bytes = outcome.bytes;
    output.body.metadata = Some(metadata.to_string_lossy().into_owned());
    output.body.token = Some(outcome.token.to_string());
    output.body.lifetime = Some(outcome.lifetime);
    output.body.reused = outcome.reused;
    output.body.elapsed_seconds = Some(seconds);
    output.body.rate_bytes = Some(rate);
    warn_of_use(request, outcome, output);
    if !output.context.quiet {
        let (arrays, size) = (text::count(outcome.arrays, "array"), text::size(outcome.bytes));
        let rate = text::size(rate);
        output.line(format!("metadata: {}", metadata.display()));
        match outcome.reused {
            true => output.line(format!("already loaded: {arrays}, {size}")),
            false => output.line(format!("loaded: {arrays}, {size} in {seconds:.3} s ({rate}/s)")),
        }
    }
}

/// One warning for all attributes that are missing from the metadata; `-v` has named each.
fn warn_of_attributes(planned: &Planned, output: &mut Output<'_, Body>) {
    let mut missing = planned.missing_attributes();
    let Some(first) = missing.next() else { return };
    let (path, reason) = (&first.path, &first.reason);
    let message = match missing.count() {
        0 => format!("attribute '{path}' is not in the metadata: {reason}"),
        more => {
            let count = more + 1;
            format!(
                "{count} attributes are not in the metadata, such as '{path}': {reason} (-v names each)"
            )
        }
    };
    output.warn(Warning::new("attributes", message));
}

/// Returns bytes per second.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rate(bytes: u64, seconds: f64) -> u64 {
    (bytes as f64 / seconds.max(1e-9)) as u64
}

/// Warns about data that `--verify` could not compare.
fn warn_of_unverified(request: &Request, outcome: &Outcome, output: &mut Output<'_, Body>) {
    if let (true, Some(first)) = (request.verify, outcome.planned.unverifiable.first()) {
        let more = match outcome.planned.unverifiable.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        output.warn(Warning::new(
            "unverified",
            format!("not verified: {first}{more}: the HDF5 library lacks the filter, or sources of a virtual dataset overlap"),
        ));
    }
}

/// Warns if the segments give other users access to data of files in other directories.
fn warn_of_outside(request: &Request, planned: &Planned, output: &mut Output<'_, Body>) {
    const NAMED: usize = 3;
    const OTHERS: u32 = 0o077;
    let mode = request.selection.mode;
    if mode & OTHERS == 0 || planned.outside.is_empty() {
        return;
    }
    let named: Vec<_> =
        planned.outside.iter().take(NAMED).map(|path| format!("'{path}'")).collect();
    let rest = match planned.outside.len() - named.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    output.warn(Warning::new(
        "outside",
        format!(
            "with --mode {mode:o} other users can read data from files outside the directory of the \
             HDF5 file: {}{rest}; --no-external refuses them",
            named.join(", ")
        ),
    ));
}

fn warn_of_use(request: &Request, outcome: &Outcome, output: &mut Output<'_, Body>) {
    const USUAL_LIMIT: u64 = 1024;
    warn_of_unverified(request, outcome, output);
    warn_of_outside(request, &outcome.planned, output);
    if outcome.arrays > USUAL_LIMIT / 2 {
        output.warn(Warning::new(
            "descriptors",
            format!(
                "{} arrays: the Python reader opens one file each; raise its limit with 'ulimit -n {}'",
                outcome.arrays,
                outcome.arrays.saturating_mul(2).next_power_of_two().max(4096)
            ),
        ));
    }
    for (shift, class) in [(3, "the group"), (0, "others")] {
        if (request.selection.mode >> shift) & 0o6 == 0o4 {
            output.warn(Warning::new(
                "mode",
                format!("{class} may read but not write: the stock Python reader opens read-write and fails"),
            ));
        }
    }
}
