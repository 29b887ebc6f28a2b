//! A filter as a dataset's pipeline describes it.

/// One filter of a dataset's pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The registered number.
    pub id: i32,
    /// A short name: the registered one if it is known, else the one in the file.
    pub name: String,
    /// Whether a chunk may lack it.
    pub optional: bool,
    /// The filter's parameters.
    pub params: Vec<u32>,
}
