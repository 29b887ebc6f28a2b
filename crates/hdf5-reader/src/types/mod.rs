//! HDF5 types in memory: numpy dtypes, and the places of the fields in an element.

pub(crate) mod element_type;
pub(crate) mod field_layout;
pub(crate) mod field_order;
pub(crate) mod fields;
pub(crate) mod numbers;
pub(crate) mod type_reader;
