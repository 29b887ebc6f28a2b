//! Plans one dataset: its type, shape, storage, and what reading it will take.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::sync::Arc;

use hdf5_sys::h5d::{
    H5D_fill_time_t, H5D_fill_value_t, H5D_layout_t, H5Dget_create_plist, H5Dget_space,
    H5Dget_storage_size, H5Dget_type, H5Dopen2,
};
use hdf5_sys::h5o::{H5O_token_t, H5Oopen_by_token};
use hdf5_sys::h5p::{
    H5P_CLS_DATASET_ACCESS, H5P_DEFAULT, H5Pcreate, H5Pget_chunk, H5Pget_fill_value,
    H5Pset_efile_prefix,
};
use hdf5_sys::h5t::H5Treclaim;

use super::SelectRows;
use super::answers;
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::error::{ObjectResult, check, damaged, unsupported};
use super::external_files::Files;
use super::ids::Id;
use super::object_header::Plain;
use super::read::{Reading, zeroed};
use super::serialized::pack;
use super::sources::{self, RawFiles};
use super::types::{ElementType, Reader};
use super::virtuals::{self, Context};
use super::{
    Attributes, Dataset, FieldLayout, Fill, Part, Skip, Storage, attributes, chunk_index, filters,
    strings,
};

/// HDF5's limit.
const MAX_RANK: usize = 32;

/// Where a dataset is, and how its elements are read.
#[derive(Debug)]
pub(crate) struct Place {
    /// Index into the inventory's open files.
    pub(crate) file: usize,
    pub(crate) token: H5O_token_t,
    /// Group and link name, if raw files beside the HDF5 file are only found by opening it anew.
    pub(crate) link: Option<(H5O_token_t, usize, CString)>,
    pub(crate) node: Arc<ElementType>,
}

/// A type as HDF5 encodes it, and what its elements are in memory.
type Kind = (Arc<[u8]>, Arc<ElementType>);

/// The types met so far: most files have many datasets of few types.
#[derive(Debug, Default)]
pub(crate) struct Types {
    /// By what HDF5 encodes them as.
    encoded: HashMap<Arc<[u8]>, Arc<ElementType>>,
    /// By the messages in object headers that the library has read before.
    messages: HashMap<Vec<u8>, Kind>,
}

impl Types {
    /// Remembers which type the datatype message of a dataset stands for, if what its header says is what
    /// the library made of it.
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

    /// What [`Self::learn`] was told.
    pub(crate) fn of_message(&self, message: &[u8]) -> Option<Kind> {
        self.messages.get(message).cloned()
    }

    fn node(&mut self, file: &Datatype, reader: &mut Reader) -> ObjectResult<Kind> {
        let encoded: Arc<[u8]> = file.encode()?.into();
        if let Some((encoded, node)) = self.encoded.get_key_value(&encoded) {
            return Ok((Arc::clone(encoded), Arc::clone(node)));
        }
        let node = Arc::new(reader.node(file, "")?);
        // Fields that are left out have to be told of for each dataset.
        if reader.skipped.is_empty() {
            self.encoded.insert(Arc::clone(&encoded), Arc::clone(&node));
        }
        Ok((encoded, node))
    }
}

/// A dataset as the walk meets it.
pub(crate) struct Found<'a> {
    pub(crate) id: Id,
    pub(crate) path: &'a str,
    /// Number of the file it is in.
    pub(crate) file: usize,
    pub(crate) token: H5O_token_t,
    /// The group's token and file, and the link's name.
    pub(crate) link: (H5O_token_t, usize, CString),
    /// Whether it is only wanted as the source of a virtual dataset: attributes do not matter then.
    pub(crate) is_source: bool,
}

impl Place {
    /// Opens the dataset again.
    pub(crate) fn open(&self, files: &Files) -> ObjectResult<Id> {
        match &self.link {
            Some((group, file, name)) => {
                let group = open_by_token(files, *file, *group)?;
                open_beside(&group, name)
            }
            None => open_by_token(files, self.file, self.token),
        }
    }
}

/// Opens an object of one of the open files.
pub(crate) fn open_by_token(files: &Files, file: usize, token: H5O_token_t) -> ObjectResult<Id> {
    let file = files.get(file)?;
    // SAFETY: the file is open; the library checks the token.
    Id::own(unsafe { H5Oopen_by_token(file.raw(), token) })
}

/// Opens a dataset so that its raw files are looked for beside the HDF5 file.
fn open_beside(group: &Id, name: &CStr) -> ObjectResult<Id> {
    // SAFETY: the property list class is one of the library's own.
    let access = Id::own(unsafe { H5Pcreate(*H5P_CLS_DATASET_ACCESS) })?;
    // SAFETY: `access` is an open dataset access list, the text ends with NUL.
    check(unsafe { H5Pset_efile_prefix(access.raw(), c"${ORIGIN}".as_ptr()) })?;
    // SAFETY: group and list are open, the name ends with NUL.
    Id::own(unsafe { H5Dopen2(group.raw(), name.as_ptr(), access.raw()) })
}

/// Plans a dataset; also why elements of a virtual one have the fill value.
pub(crate) fn plan(
    found: Found,
    (files, types): (&Arc<Files>, &mut Types),
    rows: Option<&SelectRows<'_>>,
    seen: &mut dyn FnMut(&str),
) -> ObjectResult<(Dataset, Vec<String>)> {
    let Found { id, path, file, token, link, is_source } = found;
    // SAFETY: `id` is an open dataset, here and below.
    let file_type = Datatype::own(unsafe { H5Dget_type(id.raw()) })?;
    let named_type = file_type.committed_token()?;
    let mut reader = Reader::default();
    let (encoded_type, node) = types.node(&file_type, &mut reader)?;
    let stored_at = chunk_index::offset(&id);
    let (mut storage, raw) = match stored_at {
        // The creation list, which takes the library long to copy, matters to an export only.
        Some(_) if is_source => (Storage::contiguous(), RawFiles::None),
        Some(_) => (contiguous(&id, &file_type)?, RawFiles::None),
        None => storage(&id, &file_type, &files.path(file), files)?,
    };
    let mut limits;
    let (mut shape, mut layout, filled) = if storage.layout == "virtual" {
        let mut context = Context { files, types, seen: &mut *seen, path };
        let planned = virtuals::plan((&id, file, token), (&encoded_type, &node), &mut context)?;
        limits = planned.limits.filter(|limits| *limits != planned.shape);
        (planned.shape, Some(Box::new(planned.layout)), planned.filled)
    } else {
        // SAFETY: as above. Only for a virtual dataset would the library open other files.
        let space = Dataspace::own(unsafe { H5Dget_space(id.raw()) })?;
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
    // Only asked where it matters: the library goes through all chunks to tell.
    let lacking = filters::lacks_any(&storage.filters);
    let asks = bounded && (lacking || node.has_pointers() || storage.chunk.is_none());
    let written = stored_at.is_some() || !asks || is_written(&id, &storage);
    let unwritten = !written && storage.layout == "contiguous";
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

/// Plans a dataset of which its header tells all, and whose type is known; `None` where the two do not
/// agree, or where it has no form.
pub(crate) fn plan_plain(
    plain: &Plain<'_>,
    (path, file, token): (&str, usize, H5O_token_t),
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

/// Reduces `shape` to the wanted rows; a scalar has none and stays whole.
fn cut(shape: &mut [u64], rows: Option<&SelectRows<'_>>) -> Option<Part> {
    let (all, rows) = (shape.first_mut()?, rows?);
    let wanted = rows(*all);
    let part = Part { first: wanted.start, of: *all };
    *all = wanted.end - wanted.start;
    Some(part)
}

/// Finds the length of variable-length strings, which takes reading them.
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
            true => reading.each_block(|block, bytes| visit(block.elements(), bytes)),
            false => reading.first(|block, bytes| visit(block.elements(), bytes)),
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

/// Whether any of it may be stored; if not, every element is the fill value.
fn is_written(id: &Id, storage: &Storage) -> bool {
    if storage.layout == "virtual" {
        return true;
    }
    // SAFETY: `id` is an open dataset.
    let stored = unsafe { H5Dget_storage_size(id.raw()) };
    stored > 0 || !matches!(storage.layout, "chunked" | "contiguous")
}

/// What the creation list says, and whether raw files hold the bytes.
fn storage(
    id: &Id,
    kind: &Datatype,
    file: &Path,
    files: &Files,
) -> ObjectResult<(Storage, RawFiles)> {
    // SAFETY: `id` is an open dataset.
    let dcpl = &Id::own(unsafe { H5Dget_create_plist(id.raw()) })?;
    let filters = filters::filters(dcpl)?;
    let mut layout = match answers::layout(dcpl) {
        H5D_layout_t::H5D_COMPACT => "compact",
        H5D_layout_t::H5D_CONTIGUOUS => "contiguous",
        H5D_layout_t::H5D_CHUNKED => "chunked",
        H5D_layout_t::H5D_VIRTUAL => "virtual",
        _ => return unsupported("an unknown storage layout"),
    };
    let mut raw = RawFiles::None;
    if layout == "contiguous" {
        raw = sources::raw_files(dcpl, file, files)?;
        if raw != RawFiles::None {
            layout = "external";
        }
    }
    let chunk = if layout == "chunked" { Some(chunk(dcpl)?) } else { None };
    let of_fill = Storage::contiguous().with_fill(dcpl, kind)?;
    Ok((Storage { layout, chunk, filters, ..of_fill }, raw))
}

/// The storage of a dataset that is known to be contiguous.
fn contiguous(id: &Id, kind: &Datatype) -> ObjectResult<Storage> {
    // SAFETY: `id` is an open dataset.
    let dcpl = Id::own(unsafe { H5Dget_create_plist(id.raw()) })?;
    Storage::contiguous().with_fill(&dcpl, kind)
}

impl Storage {
    /// Adds the fill value of a creation list, and when it is written.
    fn with_fill(self, dcpl: &Id, kind: &Datatype) -> ObjectResult<Self> {
        let (fill, fill_time) = fill(dcpl, kind)?;
        Ok(Self { fill, fill_time, ..self })
    }
}

/// The fill value, and when it is written.
fn fill(dcpl: &Id, kind: &Datatype) -> ObjectResult<(Fill, Option<&'static str>)> {
    let time = match answers::fill_time(dcpl)? {
        H5D_fill_time_t::H5D_FILL_TIME_ALLOC => Some("alloc"),
        H5D_fill_time_t::H5D_FILL_TIME_NEVER => Some("never"),
        _ => None,
    };
    let fill = match answers::fill_value(dcpl)? {
        H5D_fill_value_t::H5D_FILL_VALUE_UNDEFINED => Fill::Undefined,
        H5D_fill_value_t::H5D_FILL_VALUE_USER_DEFINED => {
            fill_value(dcpl, kind).unwrap_or(Fill::Unknown)
        }
        _ => Fill::Zero,
    };
    Ok((fill, time))
}

fn fill_value(dcpl: &Id, kind: &Datatype) -> ObjectResult<Fill> {
    let mut element = zeroed(1, kind.size()?)?;
    let place = element.as_mut_ptr().cast();
    // SAFETY: the list is open, and the buffer has room for one element of the type.
    check(unsafe { H5Pget_fill_value(dcpl.raw(), kind.raw(), place) })?;
    // SAFETY: HDF5 has just filled the buffer through this type.
    let packed = unsafe { pack(kind, &element) };
    let space = Dataspace::simple(&[1])?;
    let place = element.as_mut_ptr().cast();
    // SAFETY: as above; what was serialized is a copy.
    check(unsafe { H5Treclaim(kind.raw(), space.raw(), H5P_DEFAULT, place) })?;
    let packed = packed?;
    // The path of an object that a fill value refers to is not kept.
    Ok(if packed.references.is_empty() { Fill::Value(packed.data) } else { Fill::Unknown })
}

fn chunk(dcpl: &Id) -> ObjectResult<Vec<u64>> {
    let mut chunk = vec![0_u64; MAX_RANK];
    let room = c_int::try_from(MAX_RANK).unwrap_or(0);
    // SAFETY: there is room for as many extents as the call is told.
    let rank = check(unsafe { H5Pget_chunk(dcpl.raw(), room, chunk.as_mut_ptr()) })?;
    chunk.truncate(usize::try_from(rank).unwrap_or(0));
    if rank > room || chunk.contains(&0) {
        return damaged("its chunks do not fit its shape");
    }
    Ok(chunk)
}
