//! `list`: lists the projects of this node.

use serde::Serialize;

use super::common::open;
use super::described::{describe, lifetime_text, state, state_text};
use crate::error::{Error, Kind, Result};
use crate::os::threads;
use crate::output::json::{self, Warning};
use crate::output::table::{Cell, Columns, Give};
use crate::output::{BOLD, CYAN, DIM, Output, RED, Text};
use crate::shm::format::name::ProjectName;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{self, Project, State};
use crate::text;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm list                    every array of every project
  cute-shm list -s                 one row per project
  cute-shm list 'run-*' --json     print JSON
  cute-shm list --check            exit 11 if a project is not live")]
pub(crate) struct Args {
    /// List only projects whose name matches this glob
    pub(crate) pattern: Option<String>,
    /// Print one row per project
    #[arg(short, long)]
    pub(crate) short: bool,
    /// Exit 11 if a project is not live (ignores foreign, elsewhere and loading)
    #[arg(long)]
    pub(crate) check: bool,
}

/// The JSON fields of `list`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// The projects, sorted by name.
    pub(crate) projects: Vec<json::Project>,
}

/// Runs `list`.
///
/// # Errors
/// Returns [`Kind::Findings`] with `--check` if a project is not live, and an I/O error if the directories
/// cannot be read.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let dirs = open(output)?;
    // Reading the mappings of all processes takes as long as judging all projects. Do both in parallel.
    let find = || select(&dirs, args.pattern.as_deref());
    let (projects, attached) = match args.short {
        true => {
            let (projects, attached) = threads::both(find, || Attachments::read(&dirs));
            (projects, Some(attached))
        }
        false => (find(), None),
    };
    let (projects, unread) = projects?;
    output.body.projects = projects
        .iter()
        .map(|project| describe(&dirs, project, !args.short, attached.as_ref()))
        .collect();
    let width = output.context.width;
    if output.body.projects.is_empty() {
        output.status("no projects");
    } else if args.short {
        let table = short_table(&output.body.projects, width);
        output.print(table);
    } else {
        for number in 0..output.body.projects.len() {
            let text = full(&output.body.projects[number], width);
            output.print(text);
        }
    }
    for project in &projects {
        warn_of(project, output);
    }
    if let Some(error) = unread {
        output.warn(Warning { code: "unread", message: error.to_string(), concerns: None });
    }
    if args.check { check(&projects) } else { Ok(()) }
}

fn select(dirs: &NodeDirs, pattern: Option<&str>) -> Result<(Vec<Project>, Option<Error>)> {
    let glob = pattern.map(globset::Glob::new).transpose();
    let glob = glob.map_err(|e| Error::new(Kind::Usage, format!("invalid glob: {e}")))?;
    let glob = glob.map(|glob| glob.compile_matcher());
    let wanted =
        |name: &ProjectName| glob.as_ref().is_none_or(|glob| glob.is_match(name.as_os_str()));
    state::everything(dirs, wanted)
}

fn warn_of(project: &Project, output: &mut Output<'_, Body>) {
    let what = match project.state {
        State::Live | State::Foreign | State::Elsewhere | State::Loading | State::Removing => {
            return;
        }
        state => state.word(),
    };
    let why = project.why.as_deref().unwrap_or("");
    let name = Some(project.name().to_text());
    output.warn(Warning { code: "state", message: format!("{what}: {why}"), concerns: name });
}

fn check(projects: &[Project]) -> Result<()> {
    let ignored = [State::Live, State::Foreign, State::Elsewhere, State::Loading];
    let found = projects.iter().filter(|project| !ignored.contains(&project.state)).count();
    if found == 0 {
        return Ok(());
    }
    let what = text::count(found as u64, "project");
    Err(Error::new(Kind::Findings, format!("{what} not live"))
        .with_hint("run 'cute-shm gc --dry-run' to list the projects that can be removed"))
}

fn short_table(projects: &[json::Project], width: Option<usize>) -> Text {
    let head =
        ["project", ">arrays", ">size", ">resident", "state", "lifetime", "attached", ">age"];
    let mut columns = Columns::new(&head, &[(0, Give::Middle(8))]);
    for project in projects {
        let attached = project.attached_pids.as_ref();
        let (word, style) = state(project);
        columns.row(vec![
            project.name.clone().into(),
            project.array_count.to_string().into(),
            text::size(project.size_bytes).into(),
            text::size(project.resident_bytes).into(),
            Cell::styled(word, style),
            lifetime_text(project).into(),
            attached.map_or_else(|| "unknown".to_owned(), |pids| pids.len().to_string()).into(),
            project.age_seconds.map_or_else(|| "-".to_owned(), text::age).into(),
        ]);
    }
    columns.render(width, "")
}

fn full(project: &json::Project, width: Option<usize>) -> Text {
    let mut out = Text::styled(&project.name, BOLD);
    out.push(" ");
    out.push(state_text(project));
    out.push(format!(" {} ", text::size(project.size_bytes)));
    out.push_styled(project.metadata.as_deref().unwrap_or("-"), DIM);
    out.end_line();
    let arrays = project.arrays.as_deref().unwrap_or_default();
    if arrays.is_empty() {
        out.push("  no arrays");
        out.end_line();
        out.end_line();
        return out;
    }
    // The last ten letters distinguish the segments of one project.
    let giving = [(4, Give::End(10)), (5, Give::Start(11)), (0, Give::Middle(12))];
    let head = ["key", "shape", "dtype", ">size", "attributes", "segment"];
    let mut columns = Columns::new(&head, &giving);
    for array in arrays {
        let attributes: Vec<&str> = array.attrs.keys().map(String::as_str).collect();
        let (segment, style) =
            if array.missing { ("* missing *", RED) } else { (array.segment.as_str(), CYAN) };
        columns.row(vec![
            array.key.clone().into(),
            text::shape(&array.shape).into(),
            array.dtype.clone().into(),
            array.size_bytes.map_or_else(|| "?".to_owned(), text::size).into(),
            attributes.join(", ").into(),
            Cell::styled(segment, style),
        ]);
    }
    out.push(columns.render(width, "  "));
    out.end_line();
    out
}
