//! 16-bit floats: decoding, and encoding with a single rounding.

/// Decodes a 16-bit float.
pub(super) fn from_half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff);
    sign * match bits >> 10 & 0x1f {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * 2_f64.powi(i32::from(exponent) - 25),
    }
}

/// Encodes a finite value as the nearest 16-bit float.
pub(super) fn to_half(value: f64) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let size = value.abs();
    if size == 0.0 {
        return sign;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small whole numbers
    let whole = |number: f64| number.round_ties_even() as u16;
    #[allow(clippy::cast_possible_truncation)] // an exponent
    let exponent = size.log2().floor() as i32;
    // A carry out of the fraction runs into the exponent, which is the next float.
    let bits = match exponent {
        ..-14 => whole(size * 2_f64.powi(24)),
        -14..=15 => {
            let biased = u16::try_from(exponent + 15).unwrap_or(0);
            (biased << 10) + whole(size * 2_f64.powi(10 - exponent)) - 1024
        }
        _ => 0x7c00,
    };
    sign | bits.min(0x7c00)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_reverses_decoding() {
        for bits in (0..0x7c00_u16).chain(0x8000..0xfc00) {
            assert_eq!(to_half(from_half(bits)), bits);
        }
    }
}
