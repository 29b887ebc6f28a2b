//! The JSON Schema of every command's output and its description, made from the types and their
//! comments. Only tests need it: they compare with the committed copies, and write them anew with
//! `CUTE_SHM_UPDATE=1 cargo test schema`.

use std::fmt::Write as _;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Nothing, doctor, export, gc, list, load_hdf5, show, unlink, wait};
use crate::output::json::{self as json_output, Envelope};

const INTRODUCTION: &str = "\
# JSON output

With `--json`, a command writes exactly one object to standard output, also when it fails. Bytes and
counts are integers and say so in their names (`_bytes`, `_count`), seconds end in `_seconds`, times are
RFC 3339 in UTC. What is absent is `null`, and its key is there. Fields are only ever added; `schema`
changes when that is not enough. `docs/cute-shm.schema.json` says the same to programs (JSON Schema,
draft 2020-12). NaN and infinities, which JSON lacks, are the strings `\"nan\"`, `\"inf\"`, `\"-inf\"`.

This file is made from the source: see `src/commands/schema.rs`. Every field is there since 2.0, the first
version with JSON.

## Every command
";

/// The schema of one command's whole object.
fn command(name: Option<&str>, mut schema: Value) -> Value {
    schema["properties"]["command"] = json!({
        "description": "The subcommand; null when the command line was not understood.",
        "const": name,
    });
    schema["properties"]["schema"] = json!({"const": json_output::SCHEMA});
    schema["title"] = name.unwrap_or("(no command)").into();
    schema["additionalProperties"] = false.into();
    schema
}

fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut generator = SchemaGenerator::new(settings);
    let mut commands = Map::new();
    macro_rules! add {
        ($name:expr, $body:ty) => {{
            let whole =
                <Envelope<'static, $body> as schemars::JsonSchema>::json_schema(&mut generator);
            let name: Option<&str> = $name;
            commands.insert(name.unwrap_or("none").to_owned(), command(name, whole.to_value()));
        }};
    }
    add!(Some("load-hdf5"), load_hdf5::Body);
    add!(Some("list"), list::Body);
    add!(Some("show"), show::Body);
    add!(Some("export"), export::Body);
    add!(Some("unlink"), unlink::Body);
    add!(Some("gc"), gc::Body);
    add!(Some("wait"), wait::Body);
    add!(Some("doctor"), doctor::Body);
    add!(Some("completions"), Nothing);
    add!(Some("man"), Nothing);
    add!(Some("help"), Nothing);
    add!(None, Nothing);
    let mut definitions = generator.take_definitions(true);
    for definition in definitions.values_mut() {
        if definition.get("properties").is_some() {
            definition["additionalProperties"] = false.into();
        }
    }
    let choices: Vec<Value> =
        commands.keys().map(|name| json!({"$ref": format!("#/$defs/command-{name}")})).collect();
    definitions.extend(commands.into_iter().map(|(name, one)| (format!("command-{name}"), one)));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.invalid/cute-shm.schema.json",
        "title": "Output of cute-shm --json",
        "oneOf": choices,
        "$defs": definitions,
    })
}

/// The description for people: a table for each command and each type.
fn description(schema: &Value) -> String {
    let mut out = INTRODUCTION.to_owned();
    let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
    let common = ["schema", "command", "ok", "warnings", "errors"];
    let mut empty = definitions["command-completions"].clone();
    let command = &mut empty["properties"]["command"];
    *command = json!({"type": ["string", "null"], "description": command["description"]});
    table(&empty, &|name| common.contains(&name), &mut out);
    for (name, one) in &definitions {
        if let Some(command) = name.strip_prefix("command-").filter(|name| *name != "none") {
            let _ = write!(out, "\n## {command}\n");
            table(one, &|name| !common.contains(&name), &mut out);
        }
    }
    for (name, one) in definitions.iter().filter(|(name, _)| !name.starts_with("command-")) {
        let text = one["description"].as_str().unwrap_or_default();
        let _ = write!(out, "\n## The type {name}\n\n{text}\n");
        for choice in one["oneOf"].as_array().into_iter().flatten() {
            let word = choice["const"].as_str().unwrap_or_default();
            let text = choice["description"].as_str().unwrap_or_default();
            let _ = write!(out, "\n- `{word}`: {}", text.replace('\n', " "));
        }
        if one["oneOf"].is_array() {
            out.push('\n');
        }
        table(one, &|_| true, &mut out);
    }
    out
}

fn table(schema: &Value, wanted: &dyn Fn(&str) -> bool, out: &mut String) {
    let Some(fields) = schema["properties"].as_object() else { return };
    let mut rows = fields.iter().filter(|(name, _)| wanted(name)).peekable();
    if rows.peek().is_none() {
        out.push_str("\nNothing more.\n");
        return;
    }
    out.push_str("\n| field | type | unit | meaning |\n|---|---|---|---|\n");
    for (name, field) in rows {
        let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let unit = ["bytes", "count", "seconds", "ns"]
            .into_iter()
            .find(|unit| name.ends_with(&format!("_{unit}")))
            .unwrap_or("");
        let _ = writeln!(
            out,
            "| `{name}` | {} | {unit} | {} |",
            kind(field),
            meaning.replace('|', "\\|")
        );
    }
}

/// A field's type in a few words.
fn kind(field: &Value) -> String {
    if let Some(reference) = field["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(value) = field.get("const") {
        return format!("`{value}`");
    }
    if let Some(choices) = field["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let one = |name: &Value| match name.as_str() {
        Some("array") => format!("list of {}", kind(&field["items"])),
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    };
    match &field["type"] {
        Value::Array(names) => names.iter().map(one).collect::<Vec<_>>().join(" or "),
        name => one(name),
    }
}

fn compare(name: &str, current: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("CUTE_SHM_UPDATE").is_some() {
        std::fs::write(&path, current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/{name} is not current: CUTE_SHM_UPDATE=1 cargo test schema"
    );
}

#[test]
fn the_committed_schema_and_its_description_are_current() {
    let schema = schema();
    compare("cute-shm.schema.json", &format!("{schema:#}\n"));
    compare("json.md", &description(&schema));
}
