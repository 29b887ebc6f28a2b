//! What is read here is what the crate `toml` reads, for thousands of texts, most of them damaged.

use toml::{Table, Value};

use crate::shm::format::fast_toml::{arrays, table};
use crate::shm::format::ledger::tests::record;
use crate::shm::format::metadata::{Metadata, parse_any};
use crate::shm::format::tree::{Array, Group, Node};

/// Marsaglia's xorshift: the same texts in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const NAMES: &[&str] = &[
    "a", "b", "c", "train", "1", "-", "a.b", "a b", "", "ü", "x\"y", "x'y", "l\nf", "\u{1b}",
    "attrs", "shm_name", "shape", "true", "\\",
];
const TEXTS: &[&str] =
    &["", "m", "\"", "'", "'''", "\"\"\"", "a\nb\"\"\"\n", "\\", "\t\r\u{7f}é\u{10ffff}\0"];
/// What is put into texts to damage them.
const BITS: &[&str] = &[
    "\n",
    "\r\n",
    " ",
    "\t",
    "\"",
    "\"\"\"",
    "'",
    "'''",
    "[",
    "]",
    "[[",
    "]]",
    ".",
    ",",
    "=",
    " = ",
    "#",
    "\\",
    "\\u00e9",
    "\\ud800",
    "\\x41",
    "\\e",
    "0",
    "-",
    "+",
    "_",
    "1e5",
    "1e999",
    "0x1",
    "nan",
    "-nan",
    "inf",
    "true",
    "{}",
    "{a = 1}",
    "2020-01-01",
    "[a]\n",
    "[a.b]\n",
    "[a.attrs]\n",
    "[[a]]\n",
    "[a.shm_name]\n",
    "a = 1\n",
    "a.b = 1\n",
    "shm_name = \"x\"\n",
    "shape = [\n    1,\n    2,\n]\n",
    "dtype = \"f4\"\n",
    "\u{0}",
    "\u{7f}",
    "\u{feff}",
    "é",
];

fn value(rng: &mut Rng, depth: usize) -> Value {
    let numbers = [0.0, -0.0, 1.5, 1e300, 5e-324, 1e16, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    match rng.below(if depth == 0 { 4 } else { 5 }) {
        0 => Value::String(rng.one(TEXTS).to_owned()),
        1 => Value::Integer([0, -1, 7, i64::MIN, i64::MAX][rng.below(5)]),
        2 => Value::Float(numbers[rng.below(numbers.len())]),
        3 => Value::Boolean(rng.below(2) == 0),
        _ => Value::Array((0..rng.below(4)).map(|_| value(rng, depth - 1)).collect()),
    }
}

fn attributes(rng: &mut Rng) -> Table {
    (0..rng.below(4)).map(|_| (rng.one(NAMES).to_owned(), value(rng, 2))).collect()
}

fn group(rng: &mut Rng, depth: usize) -> Group {
    let mut found = Group::new();
    for number in 0..rng.below(4) {
        let node = match rng.below(if depth == 0 { 1 } else { 2 }) {
            0 => Node::Array(Array {
                segment: format!("cute-shm.p.aaaaa0000{number}"),
                shape: (0..rng.below(3)).map(|n| n as u64 * 10).collect(),
                dtype: "float64".to_owned(),
                attrs: attributes(rng),
            }),
            _ => Node::Group(group(rng, depth - 1)),
        };
        found.insert(rng.one(NAMES).to_owned(), node);
    }
    found
}

fn metadata(rng: &mut Rng) -> String {
    let text = Metadata { mark: None, root: group(rng, 3) }.to_toml();
    match rng.below(3) {
        0 => text,
        1 => format!("# a comment, é\n{text}"),
        // Empty lines between the tables, and lists on several lines, as Python writes them.
        _ => {
            let lines = text.lines().map(|line| {
                let sizes = line.strip_prefix("shape = [").and_then(|rest| rest.strip_suffix(']'));
                match sizes.filter(|sizes| sizes.bytes().all(|b| b", 0123456789".contains(&b))) {
                    None if line.starts_with('[') => format!("\n{line}\n"),
                    None | Some("") => format!("{line}\n"),
                    Some(sizes) => {
                        format!("shape = [\n    {},\n]\n", sizes.replace(", ", ",\n    "))
                    }
                }
            });
            lines.collect()
        }
    }
}

fn ledger(rng: &mut Rng) -> String {
    let mut record = record("aaaaa");
    record.metadata = Some(metadata(rng));
    for name in NAMES {
        if rng.below(4) == 0 {
            record.attributes.insert((*name).to_owned(), Value::Table(attributes(rng)));
        }
    }
    let mut table = Table::new();
    table.insert("version".to_owned(), Value::Integer(1));
    table.insert("current".to_owned(), Value::try_from(record).unwrap());
    let sources = (0..rng.below(3)).map(|_| Value::Table(attributes(rng))).collect();
    table.insert("sources".to_owned(), Value::Array(sources));
    toml::to_string(&table).unwrap()
}

/// Takes something out of a text, puts something in, or repeats something.
fn damage(text: &str, rng: &mut Rng) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let whole_lines = rng.below(2) == 0;
    let parts = if whole_lines { lines } else { text.split_inclusive(|_: char| true).collect() };
    let mut parts: Vec<&str> = parts;
    let at = rng.below(parts.len());
    match rng.below(4) {
        0 if !parts.is_empty() => drop(parts.remove(at)),
        1 if !parts.is_empty() => parts.insert(rng.below(parts.len()), parts[at]),
        2 if !parts.is_empty() => parts.truncate(at),
        _ => parts.insert(at, rng.one(BITS)),
    }
    parts.concat()
}

fn agree<T: std::fmt::Debug, E: std::fmt::Debug>(
    text: &str,
    ours: Option<T>,
    theirs: impl FnOnce() -> Result<T, E>,
) -> bool {
    let Some(ours) = ours else { return false };
    let theirs = theirs().map(|theirs| format!("{theirs:?}"));
    assert_eq!(theirs.as_deref().ok(), Some(&*format!("{ours:?}")), "{text}\n{theirs:?}");
    true
}

#[test]
fn what_is_read_of_metadata_is_what_the_crate_toml_reads() {
    let mut rng = Rng(1);
    let mut read = 0;
    for _ in 0..2000 {
        let mut text = metadata(&mut rng);
        for damaged in 0..4 {
            let agreed = agree(&text, arrays(&text), || parse_any(&text));
            assert!(
                agreed || damaged > 0 || text.contains("shm_name]") || text.contains("shm_name."),
                "{text}"
            );
            read += usize::from(agreed && damaged > 0);
            text = damage(&text, &mut rng);
        }
    }
    assert!(read > 500, "only {read} damaged texts were read at all");
}

#[test]
fn what_is_read_of_ledgers_is_what_the_crate_toml_reads() {
    let mut rng = Rng(2);
    let (mut whole, mut read) = (0, 0);
    for _ in 0..1000 {
        let mut text = ledger(&mut rng);
        for damaged in 0..4 {
            let agreed = agree(&text, table(&text), || toml::from_str::<Table>(&text));
            *(if damaged == 0 { &mut whole } else { &mut read }) += usize::from(agreed);
            text = damage(&text, &mut rng);
        }
    }
    assert!(whole > 500 && read > 500, "{whole} whole texts were read, {read} damaged ones");
}

#[test]
fn words_of_toml_in_any_order_are_read_right_or_not_at_all() {
    let mut rng = Rng(3);
    for _ in 0..20_000 {
        let text: String = (0..rng.below(12)).map(|_| rng.one(BITS)).collect();
        agree(&text, arrays(&text), || parse_any(&text));
        agree(&text, table(&text), || toml::from_str::<Table>(&text));
    }
}

#[test]
fn what_is_nested_too_deeply_is_left_to_the_crate_toml() {
    let header = format!("[{}a]\n", "a.".repeat(100_000));
    assert!(arrays(&header).is_none() && table(&header).is_none());
    let list = format!("a = {}", "[".repeat(100_000));
    assert!(table(&list).is_none());
}
