//! Every call of libhdf5 and every `unsafe` block of this crate.
//!
//! The functions here are safe for every argument: libhdf5 checks the identifiers, and buffers are compared with
//! the type and the dataspace before a call. Pointers that libhdf5 returns do not leave this folder: see
//! [`elements`].
#![allow(unsafe_code)]

pub(crate) mod attributes;
pub(crate) mod codecs;
pub(crate) mod create;
pub(crate) mod creation;
pub(crate) mod dataset;
pub(crate) mod dataspace;
pub(crate) mod datatype;
pub(crate) mod decoders;
pub(crate) mod elements;
pub(crate) mod error_stack;
pub(crate) mod file;
pub(crate) mod ids;
pub(crate) mod links;
pub(crate) mod object;
mod plugin_path;
