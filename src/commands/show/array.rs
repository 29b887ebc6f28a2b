//! Prints one array: a preview, statistics, a plot, or Python code that attaches it.

use super::args::{Args, Body};
use crate::error::{Error, Kind, Result};
use crate::output::{DIM, Output, Text, json};
use crate::shm::format::array_key::array_at;
use crate::shm::format::tree::select;
use crate::shm::format::tree::{Array, Group, arrays};
use crate::shm::segment::published::PublishedSegment;
use crate::shm::store::node_dirs::NodeDirs;
use crate::text;
use crate::view::{self, Canvas, Stats, View};

/// Columns of a plot without a terminal.
const WIDTH: usize = 80;
/// Rows of a plot.
const HEIGHT: usize = 20;

/// Prints the requested views of an array.
pub(super) fn show(
    dirs: &NodeDirs,
    array: &Array,
    args: &Args,
    output: &mut Output<'_, Body>,
) -> Result<()> {
    let source = PublishedSegment::open(&dirs.shm, array)?;
    let mut view = View::new(source, array)?;
    if let Some(slice) = &args.slice {
        view = view.slice(slice)?;
    }
    let rich = output.context.color;
    let width = output.context.width.unwrap_or(WIDTH);
    let canvas = Canvas { width, height: HEIGHT, rich };
    output.body.view_shape = Some(view.shape());
    if !args.stats && !args.plot || output.context.json {
        let preview = view::preview(&view)?;
        output.print(Text::block(format!("\n{preview}\n")));
        output.body.preview = Some(preview);
    }
    if args.stats {
        let stats = view::stats(&view)?;
        output.print(describe(&stats, canvas));
        output.body.stats = Some(stats);
    }
    if args.plot {
        let plain = Canvas { rich: rich && !output.context.json, ..canvas };
        let picture = view::plot(&view, plain)?;
        output.print(Text::drawing(format!("\n{picture}")));
        output.body.plot = Some(picture);
    }
    Ok(())
}

fn describe(stats: &Stats, canvas: Canvas) -> Text {
    let mut out = Text::new();
    out.end_line();
    let mut line = |name: &str, value: &str| {
        out.push_styled(format!("{name:>9}"), DIM);
        out.push(format!("  {value}"));
        out.end_line();
    };
    let json = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |x| x.to_string());
    line("count", &stats.count.to_string());
    if stats.is_magnitude {
        line("values", "magnitudes of complex numbers");
    }
    line("min", &json(&stats.min));
    line("max", &json(&stats.max));
    line("mean", &number(stats.mean));
    line("std", &number(stats.std));
    line("nan", &stats.nan_count.to_string());
    line("inf", &stats.inf_count.to_string());
    if let Some(distinct) = stats.distinct_count {
        line("distinct", &distinct.to_string());
    }
    if let Some(histogram) = &stats.histogram {
        out.end_line();
        out.push(Text::drawing(histogram.draw(canvas)));
        let finite = stats.count - stats.nan_count - stats.inf_count;
        if histogram.sample_count < finite {
            out.push(format!("{:>12} of {finite} values", histogram.sample_count));
            out.end_line();
        }
    }
    out
}

/// Returns Python code for the array or the arrays at a path.
pub(super) fn python(
    dirs: &NodeDirs,
    root: &Group,
    prefix: &str,
    project: &json::Project,
) -> Result<String> {
    if let Some(lost) = project.arrays.iter().flatten().find(|array| array.missing) {
        let message = format!("the segment of '{}' is missing", lost.key);
        return Err(Error::new(Kind::NotFound, message).with_subject(lost.key.clone()));
    }
    // The code contains the text as a comment of one line.
    let name = text::shown(&project.name, true);
    let loaded = project.created.as_ref().map(|time| format!(" of {}", text::time(time)));
    let origin = format!("the cute-shm project {name}{}", loaded.unwrap_or_default());
    let command = format!("cute-shm show {name} --python");
    if let Some(array) = array_at(root, prefix) {
        let (origin, key) = (format!("one array of {origin}"), text::shown(prefix, true));
        let command = format!("cute-shm show {name} {key} --python");
        let arrays = [(prefix.to_owned(), array)];
        return Ok(view::snippet(dirs.shm.path(), &arrays, false, &origin, &command));
    }
    let selected = select(root, prefix, &|_| true);
    Ok(view::snippet(dirs.shm.path(), &arrays(&selected), true, &origin, &command))
}
