//! The plan of a load: its segments, the metadata tree of the project, and the objects that are left out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hdf5_reader::{
    Attributes, Child, Content, Dataset, Field, FieldLayout, Group, Inventory, Looked, Part,
    Presence,
};
use numpy_dtype::Dtype;
use toml::{Table, Value};

use crate::error::{Error, Kind, Result};
use crate::load::convert::{Conversion, Conversions};
use crate::load::decode_memory;
use crate::load::planned::{Planned, PlannedArray};
use crate::load::request::{Input, Request};
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::{Note, SourceFile, SourceState};
use crate::shm::format::metadata;
use crate::shm::format::name::{SegmentName, Token};
use crate::shm::format::origin::Origin;
use crate::shm::format::tree::{self, ARRAY_KEY, Array, Node};

/// A planned segment.
#[derive(Debug)]
pub(crate) struct SegmentPlan {
    /// Path in the project.
    pub path: String,
    /// The field or array in the file.
    pub leaf: Field,
    /// The selected rows, unless all are.
    pub part: Option<Part>,
    /// The conversion of its values.
    pub conversion: Option<Conversion>,
    /// Bytes in the segment.
    pub bytes: u64,
}

impl SegmentPlan {
    fn new(path: String, leaf: &Field, conversions: &Conversions) -> Result<Self> {
        let conversion = conversions.of(&path, &leaf.dtype)?;
        let mut segment = Self { path, leaf: leaf.clone(), part: None, conversion, bytes: 0 };
        let bytes =
            segment.dtype().nbytes(&leaf.shape).filter(|&bytes| i64::try_from(bytes).is_ok());
        let too_large = || {
            let message = format!("'{}' is too large as {}", segment.path, segment.dtype());
            Error::new(Kind::NoMemory, message)
        };
        segment.bytes = bytes.ok_or_else(too_large)?;
        Ok(segment)
    }

    /// The dtype of the values in the segment.
    pub(crate) fn dtype(&self) -> &Dtype {
        self.conversion.as_ref().map_or(&self.leaf.dtype, Conversion::to)
    }

    /// Bytes of the values of one element of the dataset.
    pub(crate) fn width(&self) -> u64 {
        self.leaf.per_element().saturating_mul(self.dtype().itemsize())
    }

    /// Whether elements of `size` bytes in the file equal the values in the segment.
    pub(crate) fn is_plain(&self, size: u64) -> bool {
        let whole = self.leaf.content == Content::Value && self.leaf.offset == 0;
        whole && self.conversion.is_none() && self.width() == size
    }
}

/// All segments of one dataset.
#[derive(Debug)]
pub(crate) struct Task {
    /// The number of the input.
    pub input: usize,
    /// The number of the dataset in its inventory.
    pub dataset: usize,
    /// Path in the project.
    pub path: String,
    /// The number of its first segment. The others follow it.
    pub first: usize,
    /// The number of its segments.
    pub count: usize,
}

/// The plan.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The objects of each input, which libhdf5 has open.
    pub inventories: Vec<Inventory>,
    /// Every segment.
    pub segments: Vec<SegmentPlan>,
    /// Every dataset.
    pub tasks: Vec<Task>,
    /// The files that were read or looked for, with their state before the load.
    pub sources: Vec<SourceFile>,
    /// The groups and arrays of the project.
    root: tree::Group,
    attributes: Table,
    origin: Origin,
    skips: Vec<Note>,
    damaged: Vec<Note>,
    filled: Vec<Note>,
    outside: Vec<String>,
    left_out: Vec<Note>,
    unmatched_includes: Vec<String>,
    unmatched_dtypes: Vec<String>,
    missing_filters: BTreeSet<String>,
}

impl Plan {
    /// The dataset of a task.
    pub(crate) fn dataset(&self, task: &Task) -> &Dataset {
        &self.inventories[task.input].datasets[task.dataset]
    }

    /// The segments of a task.
    pub(crate) fn segments_of(&self, task: &Task) -> &[SegmentPlan] {
        &self.segments[task.first..task.first + task.count]
    }

    /// Plans the load of every input. Reports the paths that it inspects to `inspecting`.
    ///
    /// # Errors
    /// Returns the errors of [`hdf5_reader::inventory`], and [`Kind::Corrupt`] for damage without `--keep-going`.
    pub(crate) fn new(
        (request, token): (&Request, &Token),
        filter: &PathFilter,
        conversions: &Conversions,
        inspecting: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let Request { inputs, keep_going, external, .. } = request;
        let (keep_going, external, rows) = (*keep_going, *external, request.selection.rows);
        let mut plan = Self::default();
        let met = RefCell::default();
        let segment_name =
            |number: usize| SegmentName::new(&request.project, token, number as u64).to_text();
        for input in inputs {
            plan.sources.push(source(&input.path, input.group.as_deref())?);
            let select = |path: &str| {
                let path = within(input.group.as_deref(), path);
                filter.meet(&path, &mut met.borrow_mut());
                filter.takes(&path)
            };
            let seen = &mut *inspecting;
            let select_rows = rows.map(|rows| move |all| rows.of(all));
            let rows = select_rows.as_ref().map(|rows| rows as &hdf5_reader::SelectRows<'_>);
            let options =
                hdf5_reader::Options { select: &select, seen, rows, keep_going, external };
            let inventory = hdf5_reader::inventory(&input.path, options)?;
            plan.add(inventory, input, conversions, &segment_name)?;
        }
        let paths: Vec<&str> = plan.segments.iter().map(|segment| segment.path.as_str()).collect();
        let met = met.into_inner();
        plan.unmatched_includes = filter.unmatched(&met).map(str::to_owned).collect();
        plan.unmatched_dtypes =
            conversions.unmatched(&paths).into_iter().map(str::to_owned).collect();
        Ok(plan)
    }

    fn add(
        &mut self,
        inventory: Inventory,
        input: &Input,
        conversions: &Conversions,
        segment_name: &dyn Fn(usize) -> String,
    ) -> Result<()> {
        let group = input.group.as_deref();
        let main = self.sources.len() - 1;
        let mut seen = HashSet::new();
        for looked in &inventory.sources {
            let source = source_of(looked, group);
            if self.sources[main].path != source.path && seen.insert(source.path.clone()) {
                self.sources.push(source);
            }
        }
        let outside = inventory.outside.iter().map(|path| path.to_string_lossy().into_owned());
        self.outside.extend(outside);
        let note = |skip: &hdf5_reader::Skip| Note {
            detail: skip.detail.clone(),
            ..Note::new(within(group, &skip.path), &skip.reason)
        };
        self.skips.extend(inventory.skips.iter().map(note));
        self.missing_filters.extend(inventory.missing_filters.iter().cloned());
        self.damaged.extend(inventory.damaged.iter().map(note));
        self.filled.extend(inventory.filled.iter().map(note));
        let number = self.inventories.len();
        let mut segments = BTreeMap::new();
        let prefix = within(group, "");
        let mut tree = tree::Group::new();
        let segments = &mut segments;
        let first_type = self.origin.named_types.len();
        for named in &inventory.named_types {
            self.origin.add_type(&prefix, named, first_type);
        }
        let inventory_ref = &inventory;
        let mut builder = Builder {
            plan: self,
            inventory: inventory_ref,
            conversions,
            segment_name,
            number,
            first_type,
            segments,
        };
        builder.group(&inventory.root, &prefix, group.is_none(), &mut tree)?;
        match group {
            None => self.root = tree,
            Some(name) => drop(self.root.insert(name.to_owned(), Node::Group(tree))),
        }
        self.inventories.push(inventory);
        Ok(())
    }

    /// Returns the summary for the supervisor. `workers` is the number of threads that decode at the same time.
    pub(crate) fn summary(&self, workers: usize) -> Planned {
        let array = |segment: &SegmentPlan| PlannedArray {
            path: segment.path.clone(),
            shape: segment.leaf.shape.clone(),
            dtype: segment.dtype().to_string(),
            bytes: segment.bytes,
            first_row: segment.part.map(|part| part.first),
            total_rows: segment.part.map(|part| part.of),
        };
        Planned {
            arrays: self.segments.iter().map(array).collect(),
            decoding_bytes: self.decoding(workers as u64),
            paths: count_arrays(&self.root),
            skips: self.skips.clone(),
            damaged: self.damaged.clone(),
            filled: self.filled.clone(),
            outside: self.outside.clone(),
            left_out: self.left_out.clone(),
            sources: self.sources.clone(),
            unverifiable: self.unverifiable(),
            missing_filters: self.missing_filters.iter().cloned().collect(),
            unmatched_includes: self.unmatched_includes.clone(),
            unmatched_dtypes: self.unmatched_dtypes.clone(),
        }
    }

    /// Returns the most memory that decoding of chunks needs.
    fn decoding(&self, workers: u64) -> u64 {
        let each =
            self.tasks.iter().map(|task| self.inventories[task.input].decoding(task.dataset));
        each.map(|(bytes, chunks)| decode_memory::peak(bytes, chunks, workers)).max().unwrap_or(0)
    }

    fn unverifiable(&self) -> Vec<String> {
        let tasks = self.tasks.iter().filter(|task| !self.dataset(task).verifiable);
        tasks.map(|task| task.path.clone()).collect()
    }

    /// Takes the attributes of groups and of compound datasets.
    pub(crate) fn take_attributes(&mut self) -> Table {
        std::mem::take(&mut self.attributes)
    }

    /// Returns the text of the origin for the ledger.
    pub(crate) fn origin(&self) -> String {
        self.origin.to_text()
    }

    /// Returns the text of the metadata without its mark and without the segments `failed`.
    pub(crate) fn metadata(&mut self, failed: &HashSet<String>) -> String {
        let mut root = std::mem::take(&mut self.root);
        if !failed.is_empty() {
            tree::retain_arrays(&mut root, &mut |_, array| !failed.contains(&array.segment));
        }
        metadata::Metadata { mark: None, root }.to_toml()
    }
}

/// Walks the groups of an inventory, and plans the segments of each dataset once.
struct Builder<'a> {
    plan: &'a mut Plan,
    inventory: &'a Inventory,
    conversions: &'a Conversions,
    /// The name of each segment by its number.
    segment_name: &'a dyn Fn(usize) -> String,
    number: usize,
    /// The number of the first committed datatype of this file.
    first_type: usize,
    segments: &'a mut BTreeMap<usize, usize>,
}

impl Builder<'_> {
    fn group(
        &mut self,
        group: &Group,
        path: &str,
        top: bool,
        tree: &mut tree::Group,
    ) -> Result<()> {
        let shown = if path.is_empty() { "/" } else { path };
        let attrs = &self.inventory.group_attrs[group.attrs];
        self.attributes(attrs, shown);
        self.plan.origin.add_group(shown, &attrs.exact, self.first_type);
        for (name, child) in &group.children {
            let path = format!("{path}/{name}");
            // Readers of the metadata treat any table with this key as an array, except at the top level.
            if name == ARRAY_KEY && !top {
                let reason = format!("a name '{ARRAY_KEY}' misleads every reader of the metadata");
                self.plan.skips.push(Note::new(path, reason));
                continue;
            }
            let entry = match child {
                Child::Group(inner) => {
                    let mut tree = tree::Group::new();
                    self.group(inner, &path, false, &mut tree)?;
                    Node::Group(tree)
                }
                Child::Dataset(number) => self.dataset(*number, &path)?,
            };
            tree.insert(name.clone(), entry);
        }
        Ok(())
    }

    fn dataset(&mut self, number: usize, path: &str) -> Result<Node> {
        let inventory = self.inventory;
        let dataset = &inventory.datasets[number];
        let mut next = match self.segments.get(&number) {
            Some(first) => *first,
            None => self.add_task(number, dataset, path)?,
        };
        let types = (self.first_type, inventory.named_type(dataset));
        self.plan.origin.add_dataset(path, (self.number, number), dataset, types);
        Ok(self.node(&dataset.form, dataset, &mut next))
    }

    fn add_task(&mut self, number: usize, dataset: &Dataset, path: &str) -> Result<usize> {
        let first = self.plan.segments.len();
        self.segments.insert(number, first);
        add_segments(&dataset.form, path, self.conversions, &mut self.plan.segments)?;
        for segment in &mut self.plan.segments[first..] {
            segment.part = dataset.part;
        }
        let count = self.plan.segments.len() - first;
        let task =
            Task { input: self.number, dataset: number, path: path.to_owned(), first, count };
        self.plan.tasks.push(task);
        match dataset.form {
            FieldLayout::Array(_) => self.note_left_out(&dataset.attrs, path),
            // The metadata cannot contain attributes of a compound.
            FieldLayout::Table(_) => self.attributes(&dataset.attrs, path),
        }
        Ok(first)
    }

    /// Returns the arrays of a dataset, or of a part of its fields. `next` is the number of the next segment.
    fn node(&self, form: &FieldLayout, dataset: &Dataset, next: &mut usize) -> Node {
        match form {
            FieldLayout::Array(_) => {
                let number = *next;
                *next += 1;
                let segment = &self.plan.segments[number];
                let attrs = match dataset.form {
                    FieldLayout::Array(_) => dataset.attrs.values.clone(),
                    // The ledger contains the attributes of a compound.
                    FieldLayout::Table(_) => Table::new(),
                };
                Node::Array(Array {
                    segment: (self.segment_name)(number),
                    shape: segment.leaf.shape.clone(),
                    dtype: segment.dtype().to_string(),
                    attrs,
                })
            }
            FieldLayout::Table(fields) => {
                let entries = fields.iter();
                let entry = |(name, form): (&String, &FieldLayout)| {
                    (name.clone(), self.node(form, dataset, next))
                };
                Node::Group(entries.map(entry).collect())
            }
        }
    }

    fn attributes(&mut self, attributes: &Attributes, path: &str) {
        if !attributes.values.is_empty() {
            self.plan.attributes.insert(path.to_owned(), Value::Table(attributes.values.clone()));
        }
        self.note_left_out(attributes, path);
    }

    fn note_left_out(&mut self, attributes: &Attributes, path: &str) {
        for (name, reason) in &attributes.left_out {
            let path = format!("{path}@{name}");
            self.plan.left_out.push(Note::new(path, reason));
        }
    }
}

fn add_segments(
    form: &FieldLayout,
    path: &str,
    conversions: &Conversions,
    segments: &mut Vec<SegmentPlan>,
) -> Result<()> {
    match form {
        FieldLayout::Array(leaf) => {
            segments.push(SegmentPlan::new(path.to_owned(), leaf, conversions)?);
        }
        FieldLayout::Table(fields) => {
            for (name, form) in fields {
                add_segments(form, &format!("{path}/{name}"), conversions, segments)?;
            }
        }
    }
    Ok(())
}

fn count_arrays(root: &tree::Group) -> u64 {
    let mut count = 0;
    tree::walk(root, &mut |_, node| count += u64::from(matches!(node, Node::Array(_))));
    count
}

fn within(group: Option<&str>, path: &str) -> String {
    group.map_or_else(|| path.to_owned(), |group| format!("/{group}{path}"))
}

/// Returns the present state of an input file.
///
/// # Errors
/// Returns [`Kind::NotFound`] or [`Kind::Permission`] if it cannot be opened, [`Kind::Corrupt`] if it is not a
/// regular file.
pub(crate) fn source(path: &Path, group: Option<&str>) -> Result<SourceFile> {
    let cannot = |e| {
        Error::io(format!("cannot open '{}'", path.display()), e)
            .with_subject(path.to_string_lossy())
    };
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if !metadata.is_file() {
        hdf5_reader::lookup::open_regular(path).map_err(|e| not_regular(path, &e))?;
    }
    let real = std::fs::canonicalize(path).map_err(cannot)?;
    Ok(present(real.to_string_lossy().into_owned(), group, false, &metadata))
}

/// The error of a pipe, a socket, a device or a directory as an input.
pub(crate) fn not_regular(path: &Path, why: &std::io::Error) -> Error {
    let shown = path.display();
    Error::new(Kind::Corrupt, format!("cannot open '{shown}': {why}"))
        .with_subject(path.to_string_lossy())
        .with_hint("HDF5 needs a file that can be read in any order; write the data to one first: zcat x.h5.gz > x.h5")
}

/// Returns the state of a file that another file names, at the time of the search.
fn source_of(looked: &Looked, group: Option<&str>) -> SourceFile {
    match &looked.presence {
        Presence::Regular(metadata) | Presence::Unusable { metadata: Some(metadata), .. } => {
            present(absolute(&looked.path), group, true, metadata)
        }
        Presence::Absent => missing(&looked.path, group, SourceState::Absent),
        Presence::Unusable { metadata: None, .. } => {
            missing(&looked.path, group, SourceState::Unreadable)
        }
    }
}

fn present(
    path: String,
    group: Option<&str>,
    linked: bool,
    stat: &std::fs::Metadata,
) -> SourceFile {
    let mtime = stat.mtime().saturating_mul(1_000_000_000).saturating_add(stat.mtime_nsec());
    SourceFile {
        path,
        group: group.map(str::to_owned),
        linked,
        state: SourceState::Present,
        size_bytes: Some(stat.size()),
        mtime_ns: Some(mtime),
        file: Some(format!("{}:{}", stat.dev(), stat.ino())),
    }
}

fn missing(path: &Path, group: Option<&str>, state: SourceState) -> SourceFile {
    let (path, group) = (absolute(path), group.map(str::to_owned));
    SourceFile { path, group, linked: true, state, size_bytes: None, mtime_ns: None, file: None }
}

fn absolute(path: &Path) -> String {
    let resolved = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    resolved.unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// Whether a source is unchanged. An absent source must still be absent.
pub(crate) fn is_unchanged(before: &SourceFile) -> bool {
    let path = PathBuf::from(&before.path);
    let presence = hdf5_reader::lookup::presence(&path);
    source_of(&Looked { path, presence }, before.group.as_deref())
        == SourceFile { linked: true, ..before.clone() }
}

/// Checks that no source changed during the load.
///
/// # Errors
/// Returns [`Kind::Busy`] with the name of the changed file.
pub(crate) fn check_unchanged(sources: &[SourceFile]) -> Result<()> {
    for before in sources {
        if !is_unchanged(before) {
            let message = format!("'{}' changed while it was read", before.path);
            return Err(Error::new(Kind::Busy, message)
                .with_subject(before.path.clone())
                .with_hint("load it again once its writer has finished"));
        }
    }
    Ok(())
}
