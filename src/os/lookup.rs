//! The result of a lookup. "Cannot read" and "absent" are different values, so that no caller can
//! take a failed read for a missing file.

use crate::error::{Error, Result};

/// The result of looking up a name.
#[derive(Debug)]
#[must_use]
pub enum Lookup<T> {
    /// The name does not exist.
    Absent,
    /// Something may have this name, but it cannot be read or must not be trusted. It is not changed.
    Unreadable(Error),
    /// The object.
    Present(T),
}

impl<T> Lookup<T> {
    /// Returns the object, or `None` if it is absent.
    ///
    /// # Errors
    /// Returns the error of an unreadable object.
    pub fn known(self) -> Result<Option<T>> {
        match self {
            Self::Absent => Ok(None),
            Self::Unreadable(error) => Err(error),
            Self::Present(found) => Ok(Some(found)),
        }
    }

    /// Applies `next` to an object that is present.
    pub fn and_then<U>(self, next: impl FnOnce(T) -> Lookup<U>) -> Lookup<U> {
        match self {
            Self::Absent => Lookup::Absent,
            Self::Unreadable(error) => Lookup::Unreadable(error),
            Self::Present(found) => next(found),
        }
    }

    /// Converts an object that is present.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Lookup<U> {
        self.and_then(|found| Lookup::Present(convert(found)))
    }
}

impl<T> From<Result<T>> for Lookup<T> {
    fn from(result: Result<T>) -> Self {
        match result {
            Ok(found) => Self::Present(found),
            Err(error) => Self::Unreadable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn unreadable_object_is_an_error_and_never_absent() {
        let error = || Error::new(Kind::Io, "cannot read 'x'");
        assert_eq!(Lookup::Present(1).known().unwrap(), Some(1));
        assert_eq!(Lookup::<u8>::Absent.known().unwrap(), None);
        assert!(Lookup::<u8>::Unreadable(error()).known().is_err());
        assert!(Lookup::<u8>::Unreadable(error()).map(|n| n + 1).known().is_err());
        let failed = Lookup::Present(1).and_then(|_| Lookup::<u8>::Unreadable(error()));
        assert!(failed.known().is_err());
    }
}
