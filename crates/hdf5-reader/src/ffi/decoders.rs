//! The codecs of this program as functions that libhdf5 calls. They replace its decoders of fletcher32, nbit and
//! scaleoffset, which read past the end of a damaged chunk.

use std::cell::{Cell, RefCell};
use std::ffi::{c_uint, c_void};

use hdf5_filters::{Decoder, Filter};
use hdf5_sys::h5::{H5allocate_memory, H5free_memory};
use hdf5_sys::h5z::{H5Z_FLAG_REVERSE, H5Z_class2_t, H5Z_func_t};

#[cfg(feature = "bundled-hdf5")]
mod own {
    use hdf5_sys::h5::herr_t;
    use hdf5_sys::h5z::H5Z_class2_t;

    unsafe extern "C" {
        /// The library's own way to add or replace a filter; `H5Zregister` refuses numbers below 256. Only
        /// in the bundled library is it sure to be there, as are the classes.
        pub(crate) fn H5Z_register(class: *const H5Z_class2_t) -> herr_t;

        pub(crate) static H5Z_FLETCHER32: [H5Z_class2_t; 1];
        pub(crate) static H5Z_NBIT: [H5Z_class2_t; 1];
        pub(crate) static H5Z_SCALEOFFSET: [H5Z_class2_t; 1];
    }
}

/// Gives the library, which must be initialized, the decoders here in place of its own; its encoders stay.
#[cfg(feature = "bundled-hdf5")]
pub(super) fn replace_decoders() {
    // SAFETY: the library never changes these after its start. It copies each class, whose name and
    // functions live as long as the program.
    unsafe {
        let classes = [
            H5Z_class2_t { filter: Some(undo::<3>), ..own::H5Z_FLETCHER32[0] },
            H5Z_class2_t { filter: Some(undo::<5>), ..own::H5Z_NBIT[0] },
            H5Z_class2_t { filter: Some(undo::<6>), ..own::H5Z_SCALEOFFSET[0] },
        ];
        for class in &classes {
            own::H5Z_register(class);
        }
        #[cfg(feature = "szip")]
        own::H5Z_register(&class(4, Some(undo::<4>)));
    }
}

/// The library's own encoder; `None` if there is none.
fn encoder(id: i32) -> H5Z_func_t {
    #[cfg(feature = "bundled-hdf5")]
    // SAFETY: the library never changes these after its start.
    unsafe {
        match id {
            3 => own::H5Z_FLETCHER32[0].filter,
            5 => own::H5Z_NBIT[0].filter,
            6 => own::H5Z_SCALEOFFSET[0].filter,
            _ => None,
        }
    }
    #[cfg(not(feature = "bundled-hdf5"))]
    {
        let _ = id;
        None
    }
}

/// HDF5's limit for the bytes of a chunk.
const MOST: usize = u32::MAX as usize;

thread_local! {
    /// The most bytes of a chunk of the dataset that is being read.
    static LIMIT: Cell<usize> = const { Cell::new(MOST) };
    static DECODER: RefCell<Decoder> = RefCell::default();
    /// Whether a codec had no memory since [`within`] began.
    static LACKED_MEMORY: Cell<bool> = const { Cell::new(false) };
}

/// The class of a filter that decodes with this function.
pub(super) fn class(id: i32, filter: H5Z_func_t) -> H5Z_class2_t {
    H5Z_class2_t {
        version: 1,
        id,
        encoder_present: 0,
        decoder_present: 1,
        name: c"cute-shm".as_ptr(),
        can_apply: None,
        set_local: None,
        filter,
    }
}

/// Runs `read`, while chunks of more than `bytes` are refused.
pub(crate) fn within<T>(bytes: u64, read: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    LACKED_MEMORY.set(false);
    let _restore = Restore(LIMIT.replace(usize::try_from(bytes).unwrap_or(MOST).min(MOST)));
    read()
}

/// Whether a codec had no memory for a chunk since [`within`] began.
pub(crate) fn lacked_memory() -> bool {
    LACKED_MEMORY.get()
}

/// HDF5 calls this for each chunk; 0 means failure.
pub(super) unsafe extern "C" fn undo<const ID: i32>(
    flags: c_uint,
    count: usize,
    values: *const c_uint,
    nbytes: usize,
    buf_size: *mut usize,
    buf: *mut *mut c_void,
) -> usize {
    if flags & H5Z_FLAG_REVERSE == 0 {
        let Some(encode) = encoder(ID) else { return 0 };
        // SAFETY: the arguments are the library's own.
        return unsafe { encode(flags, count, values, nbytes, buf_size, buf) };
    }
    // SAFETY: HDF5 passes `count` parameters and a buffer with `nbytes` of data.
    let (params, source) = unsafe { (slice(values, count), slice((*buf).cast::<u8>(), nbytes)) };
    let filter = Filter { id: ID, name: String::new(), optional: false, params: params.to_vec() };
    // The chunk is exactly that large; filters between may add a little, such as a checksum.
    let most = LIMIT.get().saturating_add(LIMIT.get() / 2).saturating_add(64 << 10);
    let decoded = DECODER.with(|decoder| {
        hdf5_filters::decode_filter(&filter, &mut decoder.borrow_mut(), source, most.min(MOST))
    });
    let decoded = match decoded {
        Ok(decoded) => decoded,
        Err(refused) => {
            LACKED_MEMORY.set(LACKED_MEMORY.get() || refused == hdf5_filters::Error::NoMemory);
            return 0;
        }
    };
    // SAFETY: the old buffer is HDF5's to free and the new one HDF5's to allocate; the copy is
    // within both.
    unsafe {
        let fresh = H5allocate_memory(decoded.len(), 0);
        if fresh.is_null() {
            LACKED_MEMORY.set(true);
            return 0;
        }
        std::ptr::copy_nonoverlapping(decoded.as_ptr(), fresh.cast(), decoded.len());
        H5free_memory(*buf);
        *buf = fresh;
        *buf_size = decoded.len();
    }
    decoded.len()
}

/// # Safety
/// Unless it is null, `first` must point to `count` values, which nothing changes as long as the slice lives.
unsafe fn slice<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first, count) }
}
