//! The metadata file: the TOML that Python's `cute_shm` 1.2 reads and writes. Nested tables are groups, and a table with
//! the key `shm_name` is an array.

use std::fmt::{self, Write as _};

use toml::{Table, Value};
use toml_writer::TomlWrite as _;

use crate::shm::format::fast_toml;
use crate::shm::format::name::Token;
use crate::shm::format::tree::{ARRAY_KEY, Array, Group, Node, walk};

/// The largest metadata file that is read or published: about 500,000 arrays.
pub(crate) const METADATA_LIMIT: u64 = 128 << 20;

/// The header comment of a metadata file: the load that wrote it, and where. Files that Python wrote have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The load whose segments the metadata names.
    pub token: Token,
    /// The kernel's boot id at that time.
    pub boot: String,
    /// The node's name at that time.
    pub host: String,
    /// `st_dev:st_ino` of the shm directory.
    pub shm: String,
}

/// A whole metadata file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// Our mark, if it bears one.
    pub mark: Option<Mark>,
    /// The top-level groups and arrays.
    pub root: Group,
}

impl Metadata {
    /// Reads a metadata file's text.
    ///
    /// # Errors
    /// Returns the reason as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root = fast_toml::arrays(text).map_or_else(|| parse_any(text), Ok)?;
        Ok(Self { mark: Mark::parse(text), root })
    }

    /// Every array with its path, in file order.
    pub fn arrays(&self) -> Vec<(Vec<&str>, &Array)> {
        let mut found = Vec::new();
        walk(&self.root, &mut |path, node| {
            if let Node::Array(array) = node {
                found.push((path.to_vec(), array));
            }
        });
        found
    }

    /// Every array in file order, where paths are not needed.
    pub fn leaves(&self) -> Vec<&Array> {
        let mut found = Vec::new();
        walk(&self.root, &mut |_, node| {
            if let Node::Array(array) = node {
                found.push(array);
            }
        });
        found
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        if let Some(mark) = &self.mark {
            let _ = writeln!(out, "{mark}");
        }
        write_group(&self.root, "", &mut out);
        out
    }
}

impl Mark {
    /// Reads the first line of a metadata file.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("# cute-shm load ")?;
        let words: Vec<&str> = line.split(' ').collect();
        let [token, "boot", boot, "host", host, "shm", shm] = words[..] else { return None };
        Some(Self {
            token: Token::try_from(token.to_owned()).ok()?,
            boot: boot.to_owned(),
            host: host.to_owned(),
            shm: shm.to_owned(),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, boot, host, shm } = self;
        write!(f, "# cute-shm load {token} boot {boot} host {host} shm {shm}")
    }
}

/// Parses any valid TOML.
pub(crate) fn parse_any(text: &str) -> Result<Group, String> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    group(table, "")
}

fn group(table: Table, path: &str) -> Result<Group, String> {
    let mut nodes = Group::with_capacity(table.len());
    for (name, value) in table {
        let path = format!("{path}/{}", name.escape_debug());
        let Value::Table(inner) = value else {
            return Err(format!("'{path}' is neither a group nor an array"));
        };
        let node = match inner.contains_key(ARRAY_KEY) {
            true => Node::Array(array(inner, &path)?),
            false => Node::Group(group(inner, &path)?),
        };
        nodes.insert(name, node);
    }
    Ok(nodes)
}

fn array(mut table: Table, path: &str) -> Result<Array, String> {
    let mut text = |key: &str| match table.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format!("array '{path}' has no '{key}'")),
    };
    let (segment, dtype) = (text(ARRAY_KEY)?, text("dtype")?);
    let Some(Value::Array(shape)) = table.remove("shape") else {
        return Err(format!("array '{path}' has no 'shape'"));
    };
    let shape = shape
        .iter()
        .map(|n| n.as_integer().and_then(|n| u64::try_from(n).ok()))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("array '{path}' has a 'shape' that is not a list of sizes"))?;
    let attrs = match table.remove("attrs") {
        Some(Value::Table(attrs)) => attrs,
        None => Table::new(),
        Some(_) => return Err(format!("array '{path}' has an 'attrs' that is not a table")),
    };
    Ok(Array { segment, shape, dtype, attrs })
}

/// Writes the tables below `header`, which is the dotted path of quoted keys.
fn write_group(group: &Group, header: &str, out: &mut String) {
    for (name, node) in group {
        let header = match header {
            "" => key(name),
            _ => format!("{header}.{}", key(name)),
        };
        let _ = writeln!(out, "[{header}]");
        match node {
            Node::Group(inner) => write_group(inner, &header, out),
            Node::Array(array) => write_array(array, &header, out),
        }
    }
}

fn write_array(array: &Array, header: &str, out: &mut String) {
    let shape: Vec<String> = array.shape.iter().map(u64::to_string).collect();
    let name = string(&array.segment);
    let private = string(&format!("/{}", array.segment));
    let dtype = string(&array.dtype);
    let _ = writeln!(out, "shm_name = {name}\nshm_private_name = {private}");
    let _ = writeln!(out, "shape = [{}]\ndtype = {dtype}", shape.join(", "));
    let _ = writeln!(out, "[{header}.attrs]");
    for (name, value) in &array.attrs {
        let _ = write!(out, "{} = ", key(name));
        write_value(value, out);
        out.push('\n');
    }
}

/// A TOML value on one line; floats with the digits that read back the same, never fifty zeros.
fn write_value(value: &Value, out: &mut String) {
    let _ = match value {
        Value::Float(number) if number.is_finite() => write!(out, "{number:?}"),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_value(item, out);
            }
            write!(out, "]")
        }
        Value::String(text) => write!(out, "{}", string(text)),
        other => write!(out, "{other}"),
    };
}

fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match !name.is_empty() && name.bytes().all(bare) {
        true => name.to_owned(),
        false => string(name),
    }
}

/// A basic string on one line, in TOML 1.0's escapes: Python's reader knows no later ones.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let basic = toml_writer::TomlStringBuilder::new(text).as_basic();
    let _ = out.value(basic);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(segment: &str) -> Array {
        Array {
            segment: segment.to_owned(),
            shape: vec![2, 3],
            dtype: ">f4".to_owned(),
            attrs: Table::new(),
        }
    }

    fn sample() -> Metadata {
        let mut a = array("cute-shm.p.aaaaa00000");
        for (name, value) in [
            ("units", Value::String("m\u{1b}\u{7f}\n\"\\\0".to_owned())),
            ("tiny", Value::Float(5e-324)),
            ("nan", Value::Float(f64::NEG_INFINITY)),
            ("list", Value::Array(vec![Value::Integer(1), Value::Array(vec![Value::Float(1.0)])])),
        ] {
            a.attrs.insert(name.to_owned(), value);
        }
        let mut inner = Group::new();
        inner.insert("a.b \"c\"\nü".to_owned(), Node::Array(a));
        inner.insert(String::new(), Node::Group(Group::new()));
        let mut root = Group::new();
        root.insert("true".to_owned(), Node::Group(inner));
        root.insert("1".to_owned(), Node::Array(array("cute-shm.p.aaaaa00001")));
        let token = Token::try_from("aaaaa".to_owned()).unwrap();
        let [boot, host, shm] = ["b-1", "node", "0:1"].map(str::to_owned);
        Metadata { mark: Some(Mark { token, boot, host, shm }), root }
    }

    #[test]
    fn metadata_is_parsed_as_it_was_printed() {
        let text = sample().to_toml();
        assert_eq!(Metadata::parse(&text).unwrap(), sample());
        assert!(text.contains("tiny = 5e-324"), "{text}");
    }

    #[test]
    fn every_line_is_toml_1_0() {
        let text = sample().to_toml();
        assert!(text.is_ascii() || !text.contains("\\x"), "{text}");
        assert!(!text.contains("\\e") && !text.contains("\"\"\""), "{text}");
    }

    #[test]
    fn stray_values_are_refused_as_the_python_reader_would() {
        for (text, why) in [
            ("a = 1", "neither a group nor an array"),
            ("[a]\nshm_name = 1", "no 'shm_name'"),
            ("[a]\nshm_name = 'x'\ndtype = 'i4'", "no 'shape'"),
            ("[a]\nshm_name = 'x'\ndtype = 'i4'\nshape = [-1]", "not a list of sizes"),
            ("[a", "line 1"),
        ] {
            let error = Metadata::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn arrays_come_with_their_paths() {
        let sample = sample();
        let paths: Vec<_> = sample.arrays().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [vec!["true", "a.b \"c\"\nü"], vec!["1"]]);
    }

    #[test]
    fn a_file_without_a_mark_is_python_s() {
        assert_eq!(Metadata::parse("").unwrap(), Metadata::default());
        assert_eq!(Metadata::parse("# cute-shm load x\n").unwrap().mark, None);
    }
}
