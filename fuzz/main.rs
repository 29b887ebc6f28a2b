//! All fuzz targets in one program: `CUTE_SHM_FUZZ_TARGET` names the one that runs. One program is linked once.

#![no_main]

use std::sync::LazyLock;

use cute_shm::fuzzing::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("CUTE_SHM_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("CUTE_SHM_FUZZ_TARGET: '{name}' is not a target")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
