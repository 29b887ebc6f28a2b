//! `show`: one project in full, or one of its arrays.

use std::ffi::OsString;
use std::fmt::Write as _;

use serde::Serialize;

use super::list::{lifetime_text, state_text};
use super::{describe, find, open};
use crate::output::{BOLD, CYAN, DIM, Output, RED, json, paint, text};
use crate::shm::attached::Attached;
use crate::shm::ledger::Note;
use crate::shm::metadata::{Group, Node};
use crate::shm::name::ProjectName;
use crate::shm::state::{Project, State};
use crate::shm::survey::Survey;
use crate::{Error, Kind, Result};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm show imagenet                   tree, attributes, provenance
  cute-shm show imagenet /train/images     one array
  cute-shm show imagenet --json | jq .project.sources")]
pub struct Args {
    /// The project
    pub project: OsString,
    /// One of its arrays or groups: /group/name, or group.name as in Python
    pub key: Option<String>,
    /// Print attribute values in full
    #[arg(long)]
    pub all_attrs: bool,
}

/// The JSON fields of `show`.
#[derive(Debug, Default, Serialize)]
pub struct Body {
    /// The project, with its arrays; with a key only those below it.
    pub project: Option<json::Project>,
    /// Attributes of groups and of compound datasets, by path.
    pub group_attrs: serde_json::Map<String, serde_json::Value>,
    /// What the load left out.
    pub left_out: Vec<Note>,
}

/// The longest attribute value that is printed in full.
const VALUE_WIDTH: usize = 60;

/// Runs `show`.
///
/// # Errors
/// [`Kind::NotFound`] when there is no such project or key.
pub fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let name = ProjectName::existing(&args.project)?;
    let place = open(output)?;
    let survey = Survey::take(&place)?;
    let project = find(&place, &survey, &name)?;
    let attached = Attached::look(&place);
    let mut described = describe(&place, &project, true, Some(&attached));
    let prefix = args.key.as_deref().map(|key| resolve(&described, key)).transpose()?;
    if let (Some(prefix), Some(arrays)) = (&prefix, &mut described.arrays) {
        arrays.retain(|array| is_below(&array.key, prefix));
    }
    if let Some(record) = project.record() {
        output.body.group_attrs = json::attributes(&record.attributes);
        output.body.left_out.clone_from(&record.left_out);
    }
    let printer = Printer {
        colour: output.context.colour,
        terminal: output.context.width.is_some(),
        full: args.all_attrs,
        group_attrs: &output.body.group_attrs,
        project: &described,
    };
    let text = printer.all(&project, prefix.as_deref(), &output.body.left_out);
    output.print(&text);
    output.body.project = Some(described);
    Ok(())
}

/// The path that a key means: as it is, or Python's dotted form where that is unambiguous.
fn resolve(project: &json::Project, key: &str) -> Result<String> {
    let arrays = project.arrays.as_deref().unwrap_or_default();
    let slashed = format!("/{}", key.trim_matches('/'));
    if slashed == "/" || arrays.iter().any(|array| is_below(&array.key, &slashed)) {
        return Ok(slashed);
    }
    let mut found: Vec<&str> = arrays
        .iter()
        .map(|array| array.key.as_str())
        .filter(|path| path[1..].replace('/', ".") == key)
        .collect();
    found.dedup();
    match found[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(Error::new(
            Kind::NotFound,
            format!("project '{}' has no array '{key}'", project.name),
        )
        .about(key)
        .with_hint(format!("'cute-shm show {}' lists its arrays", project.name))),
        _ => Err(Error::new(Kind::Usage, format!("'{key}' is ambiguous: {}", found.join(", ")))
            .about(key)
            .with_hint("write it as /group/name")),
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    prefix == "/"
        || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

struct Printer<'a> {
    colour: bool,
    terminal: bool,
    full: bool,
    group_attrs: &'a serde_json::Map<String, serde_json::Value>,
    project: &'a json::Project,
}

impl Printer<'_> {
    fn all(&self, judged: &Project, prefix: Option<&str>, left_out: &[Note]) -> String {
        let mut out = String::new();
        if prefix.is_none() {
            self.head(judged, &mut out);
        }
        if let Some(metadata) = &judged.metadata {
            self.group(&metadata.root, "", prefix.unwrap_or("/"), &mut out);
        }
        if prefix.is_none() && !left_out.is_empty() {
            let _ = writeln!(out, "left out:");
            for note in left_out {
                let _ = writeln!(out, "  {}: {}", self.name(&note.path), note.reason);
            }
        }
        out
    }

    fn head(&self, judged: &Project, out: &mut String) {
        let project = self.project;
        let mut line = |name: &str, value: &str| {
            let name = paint(&format!("{name:>9}"), DIM, self.colour);
            let _ = writeln!(out, "{name}  {value}");
        };
        line("project", &paint(&self.name(&project.name), BOLD, self.colour));
        line("state", &state_text(project, self.colour));
        if let Some(reason) = &project.reason {
            line("because", reason);
        }
        if let Some(advice) = advice(project) {
            line("do", &advice);
        }
        line("lifetime", &lifetime_text(project));
        let (size, resident) = (text::size(project.size_bytes), text::size(project.resident_bytes));
        let arrays = text::count(project.array_count as u64, "array");
        line("size", &format!("{size} in {arrays}, {resident} resident"));
        line("metadata", &self.name(project.metadata.as_deref().unwrap_or("-")));
        line("owner", &format!("user {}", project.uid));
        if let Some(created) = &project.created {
            line(
                "loaded",
                &format!("{created} ({} ago)", text::age(project.age_seconds.unwrap_or(0))),
            );
        }
        for source in &project.sources {
            line(
                "from",
                &format!("{} ({})", self.name(&source.path), text::size(source.size_bytes)),
            );
        }
        for job in &project.jobs {
            line("job", &format!("{} {}", job.scheduler, job.id));
        }
        let attached = match &project.attached_pids {
            Some(pids) if pids.is_empty() => "no process".to_owned(),
            Some(pids) => {
                let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
                format!("processes {}", pids.join(", "))
            }
            None => "unknown".to_owned(),
        };
        line("attached", &attached);
        if !judged.leftovers.is_empty() {
            line("leftovers", &text::count(judged.leftovers.len() as u64, "segment"));
        }
        out.push('\n');
    }

    fn group(&self, group: &Group, path: &str, prefix: &str, out: &mut String) {
        let shown = if path.is_empty() { "/" } else { path };
        let depth = path.matches('/').count();
        if is_below(shown, prefix)
            && let Some(serde_json::Value::Object(attrs)) = self.group_attrs.get(shown)
        {
            self.attributes(attrs, depth, out);
        }
        for (name, node) in group {
            let path = format!("{path}/{name}");
            let related = is_below(&path, prefix) || is_below(prefix, &path);
            if !related {
                continue;
            }
            let indent = "  ".repeat(depth);
            match node {
                Node::Group(inner) => {
                    let name = paint(&format!("{}/", self.name(name)), BOLD, self.colour);
                    let _ = writeln!(out, "{indent}{name}");
                    self.group(inner, &path, prefix, out);
                }
                Node::Array(_) => self.array(name, &path, depth, out),
            }
        }
    }

    fn array(&self, name: &str, path: &str, depth: usize, out: &mut String) {
        let arrays = self.project.arrays.as_deref().unwrap_or_default();
        let Some(array) = arrays.iter().find(|array| array.key == path) else { return };
        let size = array.size_bytes.map_or_else(|| "?".to_owned(), text::size);
        let gone =
            if array.missing { paint("  * missing *", RED, self.colour) } else { String::new() };
        let _ = writeln!(
            out,
            "{}{}  {} {}  {size}{gone}",
            "  ".repeat(depth),
            paint(&self.name(name), CYAN, self.colour),
            text::shape(&array.shape),
            self.name(&array.dtype),
        );
        self.attributes(&array.attrs, depth + 1, out);
    }

    fn attributes(
        &self,
        attrs: &serde_json::Map<String, serde_json::Value>,
        depth: usize,
        out: &mut String,
    ) {
        for (name, value) in attrs {
            let value = self.name(&value.to_string());
            let value = if self.full { value } else { text::shorten(&value, VALUE_WIDTH) };
            let name = paint(&format!("@{}", self.name(name)), DIM, self.colour);
            let _ = writeln!(out, "{}{name} = {value}", "  ".repeat(depth));
        }
    }

    fn name(&self, name: &str) -> String {
        text::shown(name, self.terminal)
    }
}

/// What to do about a project that is not as it should be.
fn advice(project: &json::Project) -> Option<String> {
    let name = &project.name;
    Some(match project.state {
        State::Live | State::Loading | State::Removing | State::Foreign => return None,
        State::Elsewhere => "look at it where it was loaded".to_owned(),
        State::Corrupt => format!("'cute-shm unlink {name}' removes it"),
        State::Abandoned | State::Stale => "'cute-shm gc' reaps it".to_owned(),
        State::Broken => format!(
            "'cute-shm gc --broken' reaps it; load it again with --overwrite, or 'cute-shm unlink {name}'"
        ),
        State::Detached => "'cute-shm gc --repair' restores its metadata".to_owned(),
        State::Orphan => "'cute-shm gc --orphans' reaps what nobody has".to_owned(),
    })
}
