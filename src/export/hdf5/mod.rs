//! The HDF5 format. With the origin of a project, the file has the types, compounds and attributes of the sources;
//! without it, those that h5py writes for the same arrays.

mod attributes;
mod dataset;
mod file;
mod named_types;
mod origin;
mod storage;
mod unrestored;

pub(super) use self::file::write;
