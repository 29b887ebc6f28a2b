//! What is to be shared: elements in any memory of this process, with a shape.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::panic::{RefUnwindSafe, UnwindSafe};

use numpy_dtype::Dtype;

use super::element::Element;
use crate::error::{Error, Kind, Result};
use crate::shm::segment::plain;

/// An array that is to be shared: borrowed elements, their type and their shape. Nothing is copied
/// before [`Share::hold`](crate::Share::hold) or [`Share::persist`](crate::Share::persist).
///
/// Made of a slice with a shape ([`Source::slice`]), of a slice or a `Vec` (one axis), of the bytes of any
/// other dtype ([`Source::raw`]), and, with the feature `ndarray`, of any array or view of that crate,
/// whatever its rank and layout.
///
/// # Examples
/// ```
/// use cute_shm::Source;
/// let pixels = [1_u8, 2, 3, 4, 5, 6];
/// let image = Source::slice(&pixels, &[2, 3])?;
/// assert_eq!((image.shape(), image.dtype(), image.nbytes()), (&[2, 3][..], "uint8", 6));
/// assert!(Source::slice(&pixels, &[4]).is_err());
/// # Ok::<(), cute_shm::Error>(())
/// ```
///
/// It cannot outlive the elements:
/// ```compile_fail,E0597
/// let mut tree = cute_shm::Tree::new();
/// {
///     let numbers = vec![1.0_f64; 3];
///     tree.array("x", &numbers)?;
/// }
/// tree.nbytes();
/// # Ok::<(), cute_shm::Error>(())
/// ```
pub struct Source<'a> {
    shape: Vec<usize>,
    dtype: Cow<'static, str>,
    nbytes: usize,
    data: Data<'a>,
}

pub(super) enum Data<'a> {
    /// Elements in row-major order, without gaps.
    Bytes(&'a [u8]),
    /// Any other layout, with one axis at least. Only views of ndarray have one.
    #[cfg_attr(not(feature = "ndarray"), allow(dead_code))]
    Rows(Box<dyn Rows + 'a>),
}

/// Elements that are not in row-major order in memory.
pub(super) trait Rows: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Writes rows (what one index of the first axis names) in row-major order.
    fn fill(&self, rows: Range<usize>, out: &mut [u8]);
}

impl<'a> Source<'a> {
    /// Elements in row-major order with this shape; `&[]` is the shape of a scalar.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the shape is of another number of elements.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Source;
    /// let scalar = Source::slice(&[2.5_f64], &[])?;
    /// assert_eq!((scalar.shape(), scalar.nbytes()), (&[][..], 8));
    /// assert_eq!(Source::slice(&[1_u8, 2], &[3]).unwrap_err().to_string(), "shape (3,) does not fit 2 elements");
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn slice<T: Element>(elements: &'a [T], shape: &[usize]) -> Result<Self> {
        let count = shape.iter().try_fold(1_usize, |count, &n| count.checked_mul(n));
        if count != Some(elements.len()) {
            let shown = shown(shape.iter());
            let message = format!("shape {shown} does not fit {} elements", elements.len());
            return Err(Error::new(Kind::Usage, message));
        }
        Ok(Self::plain(elements, shape.to_vec()))
    }

    /// Elements of any dtype of numpy, given as their bytes in row-major order: text (`|S10`, `<U4`), raw
    /// bytes (`|V4`), dates (`datetime64[s]`), numbers of the other byte order (`>f4`).
    ///
    /// # Errors
    /// [`Kind::Usage`] when the dtype is none of numpy's plain ones, or the shape is of another number of bytes.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::{Node, Source, Tree};
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// let mut tree = Tree::new();
    /// tree.array("names", Source::raw(b"ada\0bob\0", "|S4", &[2])?)?;
    /// let guard = node.share("demo").hold(&tree)?;
    /// assert_eq!(guard.open()?.array("names")?.to_bytes(), b"ada\0bob\0");
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn raw(bytes: &'a [u8], dtype: &str, shape: &[usize]) -> Result<Self> {
        let Some(parsed) = Dtype::parse(dtype) else {
            return Err(Error::new(
                Kind::Usage,
                format!("'{dtype}' is no dtype of plain elements"),
            ));
        };
        let axes: Vec<u64> = shape.iter().map(|&axis| axis as u64).collect();
        if parsed.nbytes(&axes) != Some(bytes.len() as u64) {
            let (shown, count) = (shown(shape.iter()), bytes.len());
            let message = format!("shape {shown} of '{dtype}' does not fit {count} bytes");
            return Err(Error::new(Kind::Usage, message));
        }
        let (dtype, data) = (Cow::Owned(parsed.to_string()), Data::Bytes(bytes));
        Ok(Self { shape: shape.to_vec(), dtype, nbytes: bytes.len(), data })
    }

    fn plain<T: Element>(elements: &'a [T], shape: Vec<usize>) -> Self {
        let bytes = plain::bytes_of(elements);
        let dtype = Cow::Borrowed(T::DTYPE);
        Self { shape, dtype, nbytes: bytes.len(), data: Data::Bytes(bytes) }
    }

    /// Elements along each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// What `str(numpy.dtype)` gives.
    pub fn dtype(&self) -> &str {
        &self.dtype
    }

    /// Bytes of all elements.
    pub fn nbytes(&self) -> usize {
        self.nbytes
    }

    pub(super) fn data(&self) -> &Data<'a> {
        &self.data
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, dtype, .. } = self;
        f.debug_struct("Source").field("dtype", dtype).field("shape", shape).finish_non_exhaustive()
    }
}

impl<'a, T: Element> From<&'a [T]> for Source<'a> {
    fn from(elements: &'a [T]) -> Self {
        Self::plain(elements, vec![elements.len()])
    }
}

impl<'a, T: Element> From<&'a Vec<T>> for Source<'a> {
    fn from(elements: &'a Vec<T>) -> Self {
        elements.as_slice().into()
    }
}

impl<'a, T: Element, const N: usize> From<&'a [T; N]> for Source<'a> {
    fn from(elements: &'a [T; N]) -> Self {
        elements.as_slice().into()
    }
}

/// A shape as Python prints it: `(2, 3)`, `(2,)`, `()`.
pub(super) fn shown(shape: impl ExactSizeIterator<Item = impl fmt::Display>) -> String {
    let one = shape.len() == 1;
    let parts: Vec<String> = shape.map(|n| n.to_string()).collect();
    format!("({}{})", parts.join(", "), if one { "," } else { "" })
}

#[cfg(feature = "ndarray")]
mod of_ndarray {
    use ndarray::{
        ArrayBase, ArrayRef, ArrayView, ArrayViewD, ArrayViewMutD, Axis, Data as Elements,
    };
    use ndarray::{Dimension, Slice};

    use super::{Cow, Data, Range, Rows, Source};
    use crate::api::element::Element;
    use crate::shm::segment::plain;

    struct Strided<'a, T>(ArrayViewD<'a, T>);

    impl<T: Element> Rows for Strided<'_, T> {
        fn fill(&self, rows: Range<usize>, out: &mut [u8]) {
            let part = self.0.slice_axis(Axis(0), Slice::from(rows));
            let target = plain::elements_mut::<T>(out)
                .and_then(|out| ArrayViewMutD::from_shape(part.raw_dim(), out).ok());
            if let Some(mut target) = target {
                target.assign(&part);
            } else {
                unreachable!("the memory is aligned, and rows are whole");
            }
        }
    }

    impl<'a, T: Element, D: Dimension> From<ArrayView<'a, T, D>> for Source<'a> {
        fn from(view: ArrayView<'a, T, D>) -> Self {
            let shape = view.shape().to_vec();
            if let Some(elements) = view.to_slice() {
                return Self::plain(elements, shape);
            }
            // A broadcast view may have more bytes than there are addresses: no memory holds that.
            let nbytes = view.len().saturating_mul(size_of::<T>());
            let data = Data::Rows(Box::new(Strided(view.into_dyn())));
            Self { shape, dtype: Cow::Borrowed(T::DTYPE), nbytes, data }
        }
    }

    impl<'a, T, S, D> From<&'a ArrayBase<S, D>> for Source<'a>
    where
        T: Element,
        S: Elements<Elem = T>,
        D: Dimension,
    {
        fn from(array: &'a ArrayBase<S, D>) -> Self {
            array.view().into()
        }
    }

    impl<'a, T: Element, D: Dimension> From<&'a ArrayRef<T, D>> for Source<'a> {
        fn from(array: &'a ArrayRef<T, D>) -> Self {
            array.view().into()
        }
    }
}
