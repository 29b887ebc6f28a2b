//! The command line, tested from outside.

fn main() {}
