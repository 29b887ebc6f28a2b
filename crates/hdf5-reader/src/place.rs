//! The place of a dataset in the open files, from which it is opened again.

use std::ffi::CString;
use std::sync::Arc;

use crate::error::ObjectResult;
use crate::external_files::Files;
use crate::ffi::dataset;
use crate::ffi::ids::Id;
use crate::ffi::object::{self, Token};
use crate::types::element_type::ElementType;

/// A link: the token and the file number of its group, and its name.
pub(crate) type LinkPlace = (Token, usize, CString);

/// The place of a dataset, and how its elements are read.
#[derive(Debug)]
pub(crate) struct Place {
    /// Index into the inventory's open files.
    pub(crate) file: usize,
    pub(crate) token: Token,
    /// The link that led to it, if raw files beside the HDF5 file are only found by opening it by name.
    pub(crate) link: Option<LinkPlace>,
    pub(crate) node: Arc<ElementType>,
}

/// An open dataset that a link led to.
pub(crate) struct Found<'a> {
    pub(crate) id: Id,
    pub(crate) path: &'a str,
    /// The number of its file.
    pub(crate) file: usize,
    pub(crate) token: Token,
    pub(crate) link: LinkPlace,
    /// Whether it is only wanted as the source of a virtual dataset: attributes do not matter then.
    pub(crate) is_source: bool,
}

impl Place {
    /// Opens the dataset again.
    pub(crate) fn open(&self, files: &Files) -> ObjectResult<Id> {
        match &self.link {
            Some((group, file, name)) => {
                let group = open_by_token(files, *file, *group)?;
                dataset::open_beside(&group, name)
            }
            None => open_by_token(files, self.file, self.token),
        }
    }
}

/// Opens an object of one of the open files.
pub(crate) fn open_by_token(files: &Files, file: usize, token: Token) -> ObjectResult<Id> {
    object::open_by_token(&*files.get(file)?, token)
}
