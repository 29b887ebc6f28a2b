//! Formats a project: its properties, then the tree of its groups and arrays.

use std::collections::HashMap;

use crate::commands::described::{lifetime_text, state_text};
use crate::output::{BOLD, CYAN, DIM, RED, Text, json};
use crate::shm::format::ledger::{Note, SourceState};
use crate::shm::format::tree::is_below;
use crate::shm::format::tree::{Group, Node};
use crate::shm::store::state::{Project, State};
use crate::text;

/// Maximum width of an attribute value.
const VALUE_WIDTH: usize = 60;
/// Maximum width of a name on a terminal. Some formats use whole sentences as names.
const NAME_WIDTH: usize = 200;

/// Prints a project.
pub(super) struct Printer<'a> {
    pub(super) terminal: bool,
    pub(super) full: bool,
    pub(super) group_attrs: &'a serde_json::Map<String, serde_json::Value>,
    pub(super) project: &'a json::Project,
    pub(super) by_key: HashMap<&'a str, &'a json::Array>,
}

impl Printer<'_> {
    pub(super) fn all(&self, judged: &Project, prefix: Option<&str>, left_out: &[Note]) -> Text {
        let mut out = Text::new();
        if prefix.is_none() {
            self.head(judged, &mut out);
        }
        if let Some(metadata) = &judged.metadata {
            self.group(&metadata.root, "", prefix.unwrap_or("/"), &mut out);
        }
        if prefix.is_none() && !left_out.is_empty() {
            out.push("left out:");
            out.end_line();
            for note in left_out {
                out.push(format!("  {}: {}", self.name(&note.path), note.reason));
                out.end_line();
            }
        }
        out
    }

    fn head(&self, judged: &Project, out: &mut Text) {
        let project = self.project;
        let mut any = |name: &str, value: Text| {
            out.push_styled(format!("{name:>9}"), DIM);
            out.push("  ");
            out.push(value);
            out.end_line();
        };
        any("project", Text::styled(self.name(&project.name), BOLD));
        any("state", state_text(project));
        let mut line = |name: &str, value: &str| any(name, value.into());
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
                &format!(
                    "{} ({} ago)",
                    text::time(created),
                    text::age(project.age_seconds.unwrap_or(0))
                ),
            );
        }
        for source in &project.sources {
            let state = match (source.state, source.size_bytes) {
                (SourceState::Absent, _) => "absent".to_owned(),
                (_, Some(size)) => text::size(size),
                (_, None) => "unreadable".to_owned(),
            };
            line("from", &format!("{} ({state})", self.name(&source.path)));
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
        out.end_line();
    }

    fn group(&self, group: &Group, path: &str, prefix: &str, out: &mut Text) {
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
                    out.push(indent);
                    out.push_styled(format!("{}/", self.name(name)), BOLD);
                    out.end_line();
                    self.group(inner, &path, prefix, out);
                }
                Node::Array(_) => self.array(name, &path, depth, out),
            }
        }
    }

    fn array(&self, name: &str, path: &str, depth: usize, out: &mut Text) {
        let Some(array) = self.by_key.get(path) else { return };
        let size = array.size_bytes.map_or_else(|| "?".to_owned(), text::size);
        out.push("  ".repeat(depth));
        out.push_styled(self.name(name), CYAN);
        let (shape, dtype) = (text::shape(&array.shape), self.name(&array.dtype));
        out.push(format!("  {shape} {dtype}  {size}"));
        out.push(self.storage(array.storage.as_ref()));
        if array.missing {
            out.push_styled("  * missing *", RED);
        }
        out.end_line();
        self.attributes(&array.attrs, depth + 1, out);
    }

    /// Formats the storage in the source: chunks, special layouts, filters and enum names.
    fn storage(&self, storage: Option<&json::Storage>) -> Text {
        let Some(storage) = storage else { return Text::new() };
        let mut words = Vec::new();
        if let Some(chunk) = &storage.chunk {
            words.push(format!("chunks {}", text::shape(chunk)));
        } else if !matches!(storage.layout.as_str(), "contiguous" | "compact") {
            words.push(storage.layout.clone());
        }
        words.extend(storage.filters.iter().map(|filter| self.name(filter)));
        if !storage.enum_names.is_empty() {
            let name = |(name, value): (&String, &i64)| format!("{}={value}", self.name(name));
            let names: Vec<String> = storage.enum_names.iter().map(name).collect();
            words.push(text::shorten(&format!("enum {}", names.join(" ")), VALUE_WIDTH));
        }
        match words.is_empty() {
            true => Text::new(),
            false => Text::styled(format!("  {}", words.join(", ")), DIM),
        }
    }

    fn attributes(
        &self,
        attrs: &serde_json::Map<String, serde_json::Value>,
        depth: usize,
        out: &mut Text,
    ) {
        for (name, value) in attrs {
            let value = self.name(&value.to_string());
            let value = if self.full { value } else { text::shorten(&value, VALUE_WIDTH) };
            out.push("  ".repeat(depth));
            out.push_styled(format!("@{}", self.name(name)), DIM);
            out.push(format!(" = {value}"));
            out.end_line();
        }
    }

    /// Shortens a name for a terminal. Escapes it before, because an escaped character takes more columns.
    fn name(&self, name: &str) -> String {
        let shown = text::shown(name, self.terminal);
        match self.terminal && !self.full {
            true => text::shorten(&shown, NAME_WIDTH),
            false => shown,
        }
    }
}

/// Returns a suggested action for a project that is not live.
fn advice(project: &json::Project) -> Option<String> {
    let name = crate::error::shell_quote(&project.name);
    Some(match project.state {
        State::Live | State::Loading | State::Removing | State::Foreign => return None,
        State::Elsewhere => "use it on the host, or in the container, that loaded it".to_owned(),
        State::Corrupt => format!("run 'cute-shm unlink {name}' to remove it"),
        State::Abandoned | State::Stale => "run 'cute-shm gc' to remove it".to_owned(),
        State::Broken => {
            format!("load it again with --overwrite, or run 'cute-shm unlink {name}' to remove it")
        }
        State::Detached => "run 'cute-shm gc --repair' to restore its metadata".to_owned(),
        State::Orphan => "run 'cute-shm gc --orphans' to remove its unused segments".to_owned(),
    })
}
