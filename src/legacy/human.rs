//! Formats sizes like the Python package: `24.0 bytes`, `1.18 KB`.

use crate::shm::format::tree::Array;

const UNITS: [&str; 6] = ["bytes", "KB", "MB", "GB", "TB", "PB"];

/// Formats `bytes` with at most two decimals, in units of 1024.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn bytes(bytes: u64) -> String {
    if bytes == 0 {
        return "0 bytes".to_owned();
    }
    let unit = ((bytes as f64).ln() / 1024_f64.ln()).floor() as usize;
    let unit = unit.min(UNITS.len() - 1);
    let rounded = format!("{:.2}", bytes as f64 / 1024_f64.powf(unit as f64));
    // Python prints the shortest digits that represent the number, and at least one decimal.
    let number: f64 = rounded.parse().unwrap_or_default();
    format!("{number:?} {}", UNITS[unit])
}

/// Returns the size of an array like Python: an element of dtype `object` is a pointer.
pub(crate) fn array(array: &Array) -> u64 {
    let pointers = || {
        let count = array.shape.iter().try_fold(8_u64, |all, axis| all.checked_mul(*axis));
        count.filter(|_| array.dtype == "object")
    };
    array.nbytes().or_else(pointers).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_equal_those_of_python() {
        let all = [0, 1, 24, 1023, 1024, 1152, 1208, 1_310_720, 1 << 30, u64::MAX].map(bytes);
        let want = [
            "0 bytes",
            "1.0 bytes",
            "24.0 bytes",
            "1023.0 bytes",
            "1.0 KB",
            "1.12 KB",
            "1.18 KB",
            "1.25 MB",
            "1.0 GB",
            "16384.0 PB",
        ];
        assert_eq!(all, want);
    }
}
