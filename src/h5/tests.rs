//! Odd files.
