//! One array of an attached project: what it is, and copies of its elements.

use std::sync::Arc;

use numpy_dtype::Dtype;
use toml::Table;

use super::element::{self, Element};
use super::source::shown;
use crate::error::{Error, Kind, Result};
use crate::shm::format::tree;
use crate::shm::segment::attached::Segment;
use crate::shm::segment::plain;

/// An array of an attached [`Project`](crate::Project): its metadata, and copies of its elements. Views
/// are had from [`Reading`](crate::Reading) and [`Writing`](crate::Writing).
///
/// # Examples
/// ```
/// use cute_shm::{Node, Source, Tree};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// # let mut tree = Tree::new();
/// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
/// # let _guard = node.share("demo").hold(&tree)?;
/// # let project = node.open("demo")?;
/// let array = project.array("b/x")?;
/// assert_eq!((array.path(), array.dtype(), array.shape()), ("/b/x", "int16", &[2, 3][..]));
/// assert_eq!((array.len(), array.nbytes(), array.is_empty()), (6, 12, false));
/// assert_eq!(array.attrs()["units"].as_str(), Some("m"));
/// assert!(array.segment().starts_with("cute-shm.demo."));
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Array<'p> {
    path: Arc<str>,
    meta: &'p tree::Array,
    segment: &'p Segment,
}

impl<'p> Array<'p> {
    pub(super) fn new(path: String, meta: &'p tree::Array, segment: &'p Segment) -> Self {
        Self { path: path.into(), meta, segment }
    }

    /// Where it is in the project: names with `/` before each.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Elements along each axis; empty for a scalar.
    pub fn shape(&self) -> &'p [u64] {
        &self.meta.shape
    }

    /// Elements.
    pub fn len(&self) -> u64 {
        // A shape of any numbers may have a zero in it.
        if self.is_empty() {
            0
        } else {
            self.meta.shape.iter().fold(1, |n, &axis| n.saturating_mul(axis))
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.meta.shape.contains(&0)
    }

    /// What `str(numpy.dtype)` gives: `float64`, `>f4`, `|S10`.
    pub fn dtype(&self) -> &'p str {
        &self.meta.dtype
    }

    /// Bytes of all elements.
    pub fn nbytes(&self) -> usize {
        self.segment.len()
    }

    /// Its attributes.
    pub fn attrs(&self) -> &'p Table {
        &self.meta.attrs
    }

    /// The name of its segment in the shm directory.
    pub fn segment(&self) -> &'p str {
        &self.meta.segment
    }

    pub(super) fn memory(&self) -> &'p Segment {
        self.segment
    }

    /// A copy of the elements in row-major order, in the machine's byte order whatever the array's is.
    ///
    /// Always sound; while another process writes, it is a mixture of old and new elements.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the elements are of another type; the error names both.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Source, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// let array = project.array("b/x")?;
    /// assert_eq!(array.to_vec::<i16>()?, [1, 2, 3, 4, 5, 6]);
    /// let error = array.to_vec::<f32>().unwrap_err();
    /// assert_eq!(error.to_string(), "array '/b/x' is int16 of shape (2, 3), not float32");
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        let dtype = self.numbers()?;
        let swapped = element::is_swapped::<T>(&dtype);
        if !swapped && !element::is::<T>(&dtype) {
            return Err(self.wrong_type::<T>());
        }
        let fill = |out: &mut [u8]| {
            self.segment.copy_to(0, out);
            if swapped {
                plain::swap::<T>(out);
            }
        };
        Ok(plain::collect(self.nbytes() / size_of::<T>(), fill))
    }

    /// A copy of the bytes, whatever the dtype: strings, dates, raw bytes.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Source, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// let mut tree = Tree::new();
    /// tree.array("names", Source::raw(b"ada\0bob\0", "|S4", &[2])?)?;
    /// let guard = node.share("demo").hold(&tree)?;
    /// let bytes = guard.open()?.array("names")?.to_bytes();
    /// assert_eq!(bytes.chunks(4).next(), Some(&b"ada\0"[..]));
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        plain::collect(self.nbytes(), |out| self.segment.copy_to(0, out))
    }

    /// A copy as an array of its own, of fixed rank or `IxDyn`; otherwise as [`Self::to_vec`].
    ///
    /// # Errors
    /// As [`Self::to_vec`]; [`Kind::Usage`] for another rank.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Source, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let mut tree = Tree::new();
    /// # tree.array("b/x", Source::slice(&[1_i16, 2, 3, 4, 5, 6], &[2, 3])?)?.attr("units", "m");
    /// # let _guard = node.share("demo").hold(&tree)?;
    /// # let project = node.open("demo")?;
    /// let copy = project.array("b/x")?.to_array::<i16, ndarray::Ix2>()?;
    /// assert_eq!(copy[[1, 0]], 4);
    /// assert!(project.array("b/x")?.to_array::<i16, ndarray::Ix1>().is_err());
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    #[cfg(feature = "ndarray")]
    pub fn to_array<T: Element, D: ndarray::Dimension>(&self) -> Result<ndarray::Array<T, D>> {
        let shape = self.rank::<D>()?;
        let elements = self.to_vec()?;
        ndarray::Array::from_shape_vec(shape, elements).map_err(|e| self.odd(&e))
    }

    /// Refuses another type than `T` in this machine's byte order.
    pub(super) fn ensure<T: Element>(&self) -> Result<()> {
        let dtype = self.numbers()?;
        if element::is_swapped::<T>(&dtype) {
            let (path, there) = (&self.path, self.dtype());
            let message = format!("array '{path}' is big-endian ({there}): it has no view");
            return Err(Error::new(Kind::Usage, message)
                .with_subject(&**path)
                .with_hint("Array::to_vec copies it in the machine's byte order"));
        }
        if element::is::<T>(&dtype) { Ok(()) } else { Err(self.wrong_type::<T>()) }
    }

    fn numbers(&self) -> Result<Dtype> {
        Dtype::parse(self.dtype()).ok_or_else(|| {
            let message =
                format!("array '{}' is of the unknown dtype '{}'", self.path, self.dtype());
            Error::new(Kind::Unsupported, message).with_subject(&*self.path)
        })
    }

    fn wrong_type<T: Element>(&self) -> Error {
        let (path, there, shape) = (&self.path, self.dtype(), shown(self.shape().iter()));
        let message = format!("array '{path}' is {there} of shape {shape}, not {}", T::DTYPE);
        Error::new(Kind::Usage, message).with_subject(&**path)
    }

    /// What a `bool` cannot be.
    pub(super) fn no_values<T: Element>(&self) -> Error {
        let message = format!("array '{}' holds bytes that are no {}", self.path, T::DTYPE);
        Error::new(Kind::Corrupt, message).with_subject(&*self.path)
    }

    /// The shape for `D`, if the rank is right.
    #[cfg(feature = "ndarray")]
    pub(super) fn rank<D: ndarray::Dimension>(&self) -> Result<D> {
        let shape = self.shape();
        if let Some(rank) = D::NDIM
            && rank != shape.len()
        {
            let (path, there) = (&self.path, shown(shape.iter()));
            let message = format!("array '{path}' has shape {there}, not {rank} axes");
            return Err(Error::new(Kind::Usage, message).with_subject(&**path));
        }
        let mut dimension = D::zeros(shape.len());
        for (axis, &n) in dimension.slice_mut().iter_mut().zip(shape) {
            *axis = usize::try_from(n).map_err(|e| self.odd(&e))?;
        }
        Ok(dimension)
    }

    #[cfg(feature = "ndarray")]
    pub(super) fn odd(&self, error: &dyn std::fmt::Display) -> Error {
        Error::new(Kind::Unsupported, format!("array '{}' has no view: {error}", self.path))
            .with_subject(&*self.path)
    }
}
