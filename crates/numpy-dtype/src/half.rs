//! 16-bit floats (IEEE 754 binary16, float16 of numpy).

/// Decodes a 16-bit float without loss, as numpy does: a NaN keeps its sign and payload.
#[inline]
pub fn half_to_single(half: u16) -> f32 {
    // The sign, 5 bits of exponent and 10 of mantissa.
    let sign = u32::from(half & 0x8000) << 16;
    let (exponent, mantissa) = (u32::from(half >> 10 & 31), u32::from(half & 1023));
    match exponent {
        0 => {
            let small = f32::from(half & 1023) / 16_777_216.0;
            f32::from_bits(small.to_bits() | sign)
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | mantissa << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | mantissa << 13),
    }
}

/// Encodes a value as the nearest 16-bit float, and as the even one of two equally near ones.
#[expect(clippy::cast_possible_truncation, reason = "the branches check the ranges")]
pub fn double_to_half(value: f64) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 48 & 0x8000) as u16;
    let exponent = (bits >> 52 & 0x7ff).cast_signed() - 1023;
    let mantissa = bits & ((1 << 52) - 1);
    if exponent == 1024 {
        let payload = (mantissa >> 42) as u16;
        return sign | 0x7c00 | if mantissa == 0 { 0 } else { payload.max(1) };
    }
    if exponent > 15 {
        return sign | 0x7c00;
    }
    if exponent < -25 {
        return sign;
    }
    // The number of removed bits: 42 of the mantissa of a normal half, one more for each power below the least.
    let (lost, whole) = match exponent {
        -14.. => (42, ((exponent + 15).cast_unsigned() << 52) | mantissa),
        _ => ((28 - exponent).cast_unsigned(), 1 << 52 | mantissa),
    };
    let (kept, rest) = (whole >> lost, whole & ((1 << lost) - 1));
    let half = 1_u64 << (lost - 1);
    let up = rest > half || (rest == half && kept & 1 == 1);
    // Rounding up may carry into the exponent, which is then correct, up to infinity.
    sign | (kept + u64::from(up)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_reverses_decoding() {
        for half in 0..=u16::MAX {
            let single = half_to_single(half);
            if single.is_nan() {
                let (sign, mantissa) = (u32::from(half) >> 15, u32::from(half) & 1023);
                assert_eq!(single.to_bits(), sign << 31 | 0x7f80_0000 | mantissa << 13);
            } else {
                assert_eq!(double_to_half(f64::from(single)), half);
            }
        }
        assert!(half_to_single(double_to_half(f64::NAN)).is_nan());
    }

    #[test]
    fn halves_are_rounded_to_even() {
        for (value, half) in [
            (65519.0, 0x7bff),
            (65520.0, 0x7c00),
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (2f64.powi(-25), 0),
            (1.5 * 2f64.powi(-25), 1),
            (-0.0, 0x8000),
        ] {
            assert_eq!(double_to_half(value), half, "{value}");
        }
    }
}
