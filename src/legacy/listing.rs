//! `cute-shm-list`: the projects with a metadata file, in the tables of the Python package.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use terminal_size::{Width, terminal_size_of};

use crate::context::Context;
use crate::error::Result;
use crate::legacy::arguments::Arguments;
use crate::legacy::commands::warn_of;
use crate::legacy::human;
use crate::legacy::table::{Column, render};
use crate::legacy::wrap::{Align, Long, wrap};
use crate::shm::format::name::SegmentName;
use crate::shm::format::tree::Array;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::{Scan, metadata_in};
use crate::shm::store::state::{self, State};
use crate::text;

/// Runs `cute-shm-list`.
pub(crate) fn list(context: &Context, arguments: &Arguments) -> Result<String> {
    let dirs = NodeDirs::open(&context.paths)?;
    warn_of(&dirs, context);
    let scan = Scan::new(&dirs);
    let mut listed = Vec::new();
    for name in &dirs.root.as_ref().map(metadata_in).transpose()?.unwrap_or_default() {
        let Some(key) = state::key_of(&dirs, &scan, name)? else { continue };
        let project = state::judge(&dirs, &scan, &key);
        listed.push(Listed::new(&dirs, &project, context.width.is_some()));
    }
    let width = width();
    Ok(match (listed.is_empty(), arguments.has("short")) {
        (true, _) => "\nNo cute-shm project found.\n\n".to_owned(),
        (false, true) => short(&listed, width),
        (false, false) => full(&listed, width),
    })
}

/// Returns the width of tables like the Python commands: `COLUMNS`, else the terminal's width, else 80.
fn width() -> usize {
    let digits = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
    let requested = std::env::var("COLUMNS").ok().filter(digits).and_then(|text| text.parse().ok());
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let terminal = || {
        terminal_size_of(stdin)
            .or_else(|| terminal_size_of(stdout))
            .or_else(|| terminal_size_of(stderr))
    };
    let found = requested.or_else(|| terminal().map(|(Width(width), _)| width.into()));
    found.filter(|width| *width > 0).unwrap_or(80)
}

/// The texts of a project in the tables.
struct Listed {
    name: String,
    path: String,
    bytes: u64,
    /// Key path, shape, dtype, size, attributes, segment of each array; or the reason why they are unknown.
    rows: std::result::Result<Vec<Vec<String>>, String>,
    broken: bool,
    corrupt: bool,
}

impl Listed {
    fn new(dirs: &NodeDirs, project: &state::Project, terminal: bool) -> Self {
        let file = project.name().metadata_file();
        let root = dirs.root.as_ref().map_or(Path::new(""), |root| root.path());
        let shown = |name: &str| text::shown(name, terminal);
        let missing: HashSet<String> = project.missing.iter().map(SegmentName::to_text).collect();
        let gone =
            |array: &Array| missing.contains(&array.segment) || project.state == State::Elsewhere;
        let mut listed = Self {
            name: shown(&project.name().to_text()),
            path: shown(&root.join(file).to_string_lossy()),
            bytes: 0,
            rows: Err(shown(project.why.as_deref().unwrap_or("it cannot be read"))),
            broken: false,
            corrupt: project.state == State::Corrupt,
        };
        let metadata = project.metadata.as_ref().filter(|_| project.file.is_some());
        let Some(metadata) = metadata.filter(|_| !listed.corrupt) else {
            return listed;
        };
        let arrays = metadata.arrays();
        let row = |(path, array): &(Vec<&str>, &Array)| {
            let attributes: Vec<&str> = array.attrs.keys().map(String::as_str).collect();
            let segment = if gone(array) { "* MISSING *" } else { &array.segment };
            vec![
                shown(&path.join(".")),
                format!("{:?}", array.shape),
                shown(&array.dtype),
                human::bytes(human::array(array)),
                shown(&attributes.join(", ")),
                shown(segment),
            ]
        };
        listed.rows = Ok(arrays.iter().map(row).collect());
        listed.bytes = arrays.iter().map(|(_, array)| human::array(array)).sum();
        listed.broken = arrays.iter().any(|(_, array)| gone(array));
        listed
    }
}

const fn column(head: &'static str, align: Align, wraps: bool) -> Column {
    Column { head, align, wraps }
}

const SHORT: [Column; 5] = [
    column("Project Name", Align::Left, true),
    column("TOML Path", Align::Left, true),
    column("Number of arrays", Align::Center, true),
    column("Size", Align::Center, true),
    column("Integrity", Align::Center, true),
];

const FULL: [Column; 6] = [
    column("Key Path", Align::Left, false),
    column("Shape", Align::Right, true),
    column("Dtype", Align::Right, true),
    column("Size", Align::Right, true),
    column("Attributes", Align::Right, true),
    column("Shared Memory Name", Align::Right, true),
];

fn short(projects: &[Listed], width: usize) -> String {
    let mut out = String::new();
    let mut table = Vec::new();
    for Listed { name, path, bytes, rows, broken, .. } in projects {
        let (count, size, whole) = match rows {
            Ok(rows) => {
                let whole = if *broken { "✗" } else { "✓" };
                (rows.len().to_string(), human::bytes(*bytes), whole)
            }
            Err(why) => {
                out += &wrapped(&format!("Error processing project '{name}': {why}"), width);
                ("Error".to_owned(), "Error".to_owned(), "")
            }
        };
        table.push(vec![name.clone(), path.clone(), count, size, whole.to_owned()]);
    }
    out + &render("Projects Information", &SHORT, &table, width)
}

fn full(projects: &[Listed], width: usize) -> String {
    let mut out = String::new();
    for project in projects {
        let Listed { name, path, bytes, rows, .. } = project;
        out.push('\n');
        match rows {
            Ok(rows) => {
                let title = format!("Project: {name} - {path} - {}", human::bytes(*bytes));
                out += &render(&title, &FULL, rows, width);
            }
            Err(why) => {
                let what = match project.corrupt {
                    true => "cute-shm project error, failed to parse TOML metadata file",
                    false => "Error: cannot read",
                };
                out += &wrapped(&format!("{what} {path}: {why}"), width);
            }
        }
    }
    let broken: Vec<&str> =
        projects.iter().filter(|project| project.broken).map(|project| &*project.name).collect();
    if !broken.is_empty() {
        let what = "| Warning ! some project(s) has missing shared memory segment(s):";
        let _ = writeln!(out, "|");
        out += &wrapped(&format!("{what} {}", broken.join(", ")), width);
        let _ = writeln!(out, "|");
    }
    out
}

/// Wraps a message at the width.
fn wrapped(message: &str, width: usize) -> String {
    wrap(message, width, Long::Fold).join("\n") + "\n"
}
