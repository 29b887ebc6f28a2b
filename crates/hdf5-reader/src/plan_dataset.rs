//! Plans one dataset: its type, shape and storage, and how its elements are read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::attributes::{self, Attributes};
use crate::dataset::{Dataset, Part};
use crate::error::{ObjectResult, damaged, unsupported};
use crate::external_files::Files;
use crate::external_raw_files::{self, RawFiles};
use crate::ffi::creation::{Creation, FillStatus, FillTime, Layout};
use crate::ffi::dataset;
use crate::ffi::datatype::Datatype;
use crate::ffi::ids::Id;
use crate::ffi::object::Token;
use crate::inventory::SelectRows;
use crate::object_header::Plain;
use crate::place::{Found, Place};
use crate::plan_virtual::{self, Context, PlanSource};
use crate::read::read_dataset::Reading;
use crate::read::strings;
use crate::serialized::pack;
use crate::skip::Skip;
use crate::storage::{Fill, FillWrite, Storage, StorageLayout};
use crate::types::element_type::ElementType;
use crate::types::field_layout::FieldLayout;
use crate::types::type_reader::TypeReader;
use crate::{chunk_index, filters};

/// A type as HDF5 encodes it, and the type of its elements in memory.
type Kind = (Arc<[u8]>, Arc<ElementType>);

/// The types that were read: most files have many datasets of few types.
#[derive(Debug, Default)]
pub(crate) struct Types {
    /// By HDF5's encoding.
    encoded: HashMap<Arc<[u8]>, Arc<ElementType>>,
    /// By the messages in object headers that the library has read before.
    messages: HashMap<Vec<u8>, Kind>,
}

impl Types {
    /// Records the type for the datatype message of a dataset, if its header agrees with the plan that the
    /// library's answers led to.
    pub(crate) fn learn(
        &mut self,
        plain: &Plain<'_>,
        dataset: &Dataset,
        rows: Option<&SelectRows<'_>>,
    ) -> Option<()> {
        let node = &dataset.place.node;
        (node.exact && !node.has_pointers() && dataset.attrs == Attributes::default())
            .then_some(())?;
        let kind = (Arc::clone(&dataset.encoded_type), Arc::clone(node));
        let place = (&dataset.path[..], dataset.place.file, dataset.place.token);
        let same = plan_plain(plain, place, kind.clone(), rows)?;
        let all = |dataset: &Dataset| {
            (dataset.shape.clone(), dataset.part, dataset.offset, dataset.element_size)
        };
        (all(&same) == all(dataset) && dataset.skipped_fields.is_empty()).then(|| {
            self.messages.insert(plain.kind.to_vec(), kind);
        })
    }

    /// The type that [`Self::learn`] recorded for a message.
    pub(crate) fn of_message(&self, message: &[u8]) -> Option<Kind> {
        self.messages.get(message).cloned()
    }

    fn node(&mut self, file: &Datatype, reader: &mut TypeReader) -> ObjectResult<Kind> {
        let encoded: Arc<[u8]> = file.encode()?.into();
        if let Some((encoded, node)) = self.encoded.get_key_value(&encoded) {
            return Ok((Arc::clone(encoded), Arc::clone(node)));
        }
        let node = Arc::new(reader.node(file, "")?);
        // Fields that are left out are reported for each dataset.
        if reader.skipped.is_empty() {
            self.encoded.insert(Arc::clone(&encoded), Arc::clone(&node));
        }
        Ok((encoded, node))
    }
}

/// Plans a dataset. Also returns the reasons why elements of a virtual one have the fill value.
pub(crate) fn plan(
    found: Found,
    (files, types): (&Arc<Files>, &mut Types),
    rows: Option<&SelectRows<'_>>,
    seen: &mut dyn FnMut(&str),
) -> ObjectResult<(Dataset, Vec<String>)> {
    let Found { id, path, file, token, link, is_source } = found;
    let file_type = dataset::datatype(&id)?;
    let named_type = file_type.committed_token()?;
    let mut reader = TypeReader::default();
    let (encoded_type, node) = types.node(&file_type, &mut reader)?;
    let stored_at = chunk_index::offset(&id);
    let (mut storage, raw) = match stored_at {
        // The creation list, which takes the library long to copy, matters to an export only.
        Some(_) if is_source => (Storage::contiguous(), RawFiles::None),
        Some(_) => (contiguous(&id, &file_type)?, RawFiles::None),
        None => storage(&id, &file_type, &files.path(file), files)?,
    };
    let mut limits;
    let (mut shape, mut layout, filled) = if storage.layout == StorageLayout::Virtual {
        let mut sources = Sources { files, types, seen: &mut *seen };
        let mut context = Context { files, sources: &mut sources, path };
        let planned = plan_virtual::plan((&id, file, token), (&encoded_type, &node), &mut context)?;
        limits = planned.limits.filter(|limits| *limits != planned.shape);
        (planned.shape, Some(Box::new(planned.layout)), planned.filled)
    } else {
        let space = dataset::space(&id)?;
        let Some(shape) = space.shape()? else {
            return unsupported("a null dataspace: it has no elements and no shape");
        };
        limits = Some(space.limits()?).filter(|limits| *limits != shape);
        (shape, None, Vec::new())
    };
    if storage.chunk.as_ref().is_some_and(|chunk| chunk.len() != shape.len()) {
        return damaged("its chunks do not fit its shape");
    }
    let extents = shape.clone();
    let part = cut(&mut shape, rows);
    if let Some(layout) = &mut layout {
        layout.cut(part, &shape);
    }
    if let Some(limits) = &mut limits
        && limits.first() == extents.first()
    {
        limits[0] = shape[0];
    }
    storage.limits = limits;
    let form = FieldLayout::of(&node, &shape)?;
    let bounded = match &storage.chunk {
        Some(chunk) => {
            let open = files.get(file).ok();
            chunk_index::is_bounded(&id, (open.as_deref(), token), chunk, &extents)?
        }
        None => true,
    };
    // Only where it matters: the library reads the places of all chunks for the answer.
    let lacking = filters::lacks_any(&storage.filters);
    let asks = bounded && (lacking || node.has_pointers() || storage.chunk.is_none());
    let written = stored_at.is_some() || !asks || is_written(&id, &storage);
    let unwritten = !written && storage.layout == StorageLayout::Contiguous;
    let around = node.is_known() && !node.has_pointers();
    let verifiable = !written || filters::check_available(&id, &storage.filters, bounded)?;
    let offset = stored_at
        .filter(|_| around)
        .and_then(|offset| offset.checked_add(skipped_bytes(part, &shape, &node)?));
    let attrs = if is_source { Attributes::default() } else { attributes::read(&id) };
    drop(id);
    let place = Place { file, token, link: (raw == RawFiles::Beside).then_some(link), node };
    let mut dataset = Dataset {
        path: path.to_owned(),
        shape,
        part,
        form,
        attrs,
        encoded_type,
        named_type,
        storage,
        element_size: place.node.size as u64,
        raw: place.node.is_known(),
        verifiable: verifiable && layout.as_ref().is_none_or(|layout| layout.is_verifiable()),
        sources: layout,
        bounded,
        offset,
        unwritten,
        skipped_fields: Vec::new(),
        place,
    };
    if !dataset.verifiable {
        chunk_index::check_codec(&dataset, files)?;
    }
    if !is_source {
        measure(&mut dataset, files, written, &mut reader.skipped, seen)?;
    }
    let skipped = reader.skipped.into_iter();
    dataset.skipped_fields =
        skipped.map(|(field, reason)| Skip::new(format!("{path}{field}"), reason)).collect();
    Ok((dataset, filled))
}

/// Plans a dataset from its header and its known type; `None` if the two do not agree, or if it cannot be
/// represented.
pub(crate) fn plan_plain(
    plain: &Plain<'_>,
    (path, file, token): (&str, usize, Token),
    (encoded_type, node): Kind,
    rows: Option<&SelectRows<'_>>,
) -> Option<Dataset> {
    let (mut shape, size) = (plain.shape.clone(), node.size as u64);
    (shape.iter().try_fold(size, |all, &n| all.checked_mul(n))? == plain.bytes).then_some(())?;
    let part = cut(&mut shape, rows);
    let offset = Some(plain.offset.checked_add(skipped_bytes(part, &shape, &node)?)?);
    Some(Dataset {
        path: path.to_owned(),
        form: FieldLayout::of(&node, &shape).ok()?,
        shape,
        part,
        attrs: Attributes::default(),
        encoded_type,
        named_type: None,
        storage: Storage::contiguous(),
        element_size: size,
        raw: true,
        verifiable: true,
        bounded: true,
        sources: None,
        offset,
        unwritten: false,
        skipped_fields: Vec::new(),
        place: Place { file, token, link: None, node },
    })
}

/// The bytes of the rows before the wanted ones.
fn skipped_bytes(part: Option<Part>, shape: &[u64], node: &ElementType) -> Option<u64> {
    let first = part.map_or(0, |part| part.first);
    shape
        .iter()
        .skip(1)
        .try_fold(first.checked_mul(node.file_size() as u64)?, |all, &n| all.checked_mul(n))
}

/// Reduces `shape` to the wanted rows. A scalar has none, and remains whole.
fn cut(shape: &mut [u64], rows: Option<&SelectRows<'_>>) -> Option<Part> {
    let (all, rows) = (shape.first_mut()?, rows?);
    let wanted = rows(*all);
    let part = Part { first: wanted.start, of: *all };
    *all = wanted.end - wanted.start;
    Some(part)
}

/// Finds the length of variable-length strings by reading them.
fn measure(
    dataset: &mut Dataset,
    files: &Files,
    written: bool,
    skipped: &mut Vec<(String, String)>,
    seen: &mut dyn FnMut(&str),
) -> ObjectResult<()> {
    if !dataset.place.node.has_pointers() {
        return Ok(());
    }
    let whole = dataset.shape.iter().fold(1_u64, |all, &n| all.saturating_mul(n));
    let elements = if dataset.shape.contains(&0) { 0 } else { whole };
    let Dataset { path, shape, part, form, storage, place, sources, .. } = dataset;
    let mut told = || seen(path);
    let dropped = if let Some(sources) = sources {
        let mut each = |visit: &mut strings::Visit<'_>| sources.visit(files, &place.node, visit);
        strings::measure(form, elements, Some(&mut each), written, &mut told)?
    } else {
        let id = place.open(files)?;
        let chunk = storage.chunk.as_deref();
        let reading = Reading::new(&id, &place.node, shape, *part, chunk)?;
        let mut each = |visit: &mut strings::Visit<'_>| match written {
            true => reading.each_block(|block, elements| visit(block.elements(), elements)),
            false => reading.first(|block, elements| visit(block.elements(), elements)),
        };
        strings::measure(form, elements, Some(&mut each), written, &mut told)?
    };
    match &*form {
        FieldLayout::Array(_) if !dropped.is_empty() => unsupported(first_reason(dropped)),
        FieldLayout::Table(fields) if fields.is_empty() => unsupported(first_reason(dropped)),
        _ => {
            skipped.extend(dropped);
            Ok(())
        }
    }
}

fn first_reason(dropped: Vec<(String, String)>) -> String {
    dropped.into_iter().next().map_or_else(String::new, |(_, reason)| reason)
}

/// Plans the sources of a virtual dataset.
struct Sources<'a> {
    files: &'a Arc<Files>,
    types: &'a mut Types,
    seen: &'a mut dyn FnMut(&str),
}

impl PlanSource for Sources<'_> {
    fn seen(&mut self, path: &str) {
        (self.seen)(path);
    }

    fn plan(&mut self, source: Found<'_>) -> ObjectResult<Dataset> {
        plan(source, (self.files, self.types), None, self.seen).map(|(dataset, _)| dataset)
    }
}

/// Whether any element may be stored. If not, every element is the fill value.
fn is_written(id: &Id, storage: &Storage) -> bool {
    match storage.layout {
        StorageLayout::Chunked | StorageLayout::Contiguous => dataset::storage_size(id) > 0,
        StorageLayout::Compact | StorageLayout::External | StorageLayout::Virtual => true,
    }
}

/// The storage as the creation list has it, and the place of its raw files.
fn storage(
    id: &Id,
    kind: &Datatype,
    file: &Path,
    files: &Files,
) -> ObjectResult<(Storage, RawFiles)> {
    let creation = Creation::of(id)?;
    let filters = filters::filters(&creation)?;
    let mut raw = RawFiles::None;
    let layout = match creation.layout() {
        Layout::Compact => StorageLayout::Compact,
        Layout::Contiguous => {
            raw = external_raw_files::raw_files(&creation, file, files)?;
            match raw {
                RawFiles::None => StorageLayout::Contiguous,
                RawFiles::AsNamed | RawFiles::Beside => StorageLayout::External,
            }
        }
        Layout::Chunked => StorageLayout::Chunked,
        Layout::Virtual => StorageLayout::Virtual,
        Layout::Unknown => return unsupported("an unknown storage layout"),
    };
    let chunk = match layout {
        StorageLayout::Chunked => Some(creation.chunk()?),
        _ => None,
    };
    let of_fill = with_fill(Storage::contiguous(), &creation, kind)?;
    Ok((Storage { layout, chunk, filters, ..of_fill }, raw))
}

/// The storage of a dataset that is known to be contiguous.
fn contiguous(id: &Id, kind: &Datatype) -> ObjectResult<Storage> {
    with_fill(Storage::contiguous(), &Creation::of(id)?, kind)
}

/// Adds the fill value of a creation list, and when it is written.
fn with_fill(storage: Storage, creation: &Creation, kind: &Datatype) -> ObjectResult<Storage> {
    let fill_time = match creation.fill_time()? {
        FillTime::Allocation => Some(FillWrite::Allocation),
        FillTime::Never => Some(FillWrite::Never),
        FillTime::IfSet | FillTime::Unknown => None,
    };
    let fill = match creation.fill_status()? {
        FillStatus::Undefined => Fill::Undefined,
        FillStatus::UserDefined => fill_value(creation, kind).unwrap_or(Fill::Unknown),
        FillStatus::Default | FillStatus::Unknown => Fill::Zero,
    };
    Ok(Storage { fill, fill_time, ..storage })
}

fn fill_value(creation: &Creation, kind: &Datatype) -> ObjectResult<Fill> {
    let packed = pack(kind, creation.fill_value(kind)?.elements())?;
    // The path of an object that a fill value refers to is not kept.
    Ok(if packed.references.is_empty() { Fill::Value(packed.data) } else { Fill::Unknown })
}
