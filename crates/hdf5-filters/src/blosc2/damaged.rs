//! The error of Blosc2 data that contradict themselves.

use crate::error::Error;

pub(super) const DAMAGED: Error = Error::Corrupt("blosc2: damaged data");
