//! Export of projects to files: HDF5 as loaded, numpy's npy and npz, and safetensors.

mod byte_writer;
mod chunked;
mod content;
mod copy;
mod format;
mod hdf5;
mod interrupt;
mod npy;
mod npz;
mod safetensors;
mod selection;
mod source;
mod sync;
mod target;
mod temporary_file;
mod write;

pub(crate) use self::format::Format;
pub(crate) use self::selection::ExportSelection;
pub(crate) use self::target::Target;
pub(crate) use self::write::write;
