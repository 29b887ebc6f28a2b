//! Text for people: sizes, ages, shortened and escaped names.

use std::fmt::Write as _;

/// Bytes as people read them: `1.50 GiB`.
pub fn size(bytes: u64) -> String {
    humansize::format_size(bytes, humansize::BINARY)
}

/// Seconds as people read them: `3 min`, `2 days`.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..0 => "in the future".to_owned(),
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A number with its noun: `1 array`, `2 arrays`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A name from a file as a terminal may show it: control and bidirectional characters escaped. A pipe
/// gets it as it is, but for line ends, which would break lines.
pub fn shown(name: &str, terminal: bool) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
        let ends_line = matches!(c, '\u{2028}' | '\u{2029}');
        if matches!(c, '\n' | '\r') || (terminal && (c.is_control() || bidi || ends_line)) {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Shortens in the middle to at most `width` characters.
pub fn shorten(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width || width == 0 {
        return text.to_owned();
    }
    let (head, tail) = ((width - 1).div_ceil(2), (width - 1) / 2);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

/// A shape as numpy prints it: `(2, 3)`, `(5,)`, `()`.
pub fn shape(shape: &[u64]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_on_a_terminal_and_exact_in_a_pipe() {
        assert_eq!(shown("a\u{1b}[31m\u{202e}é\n", true), "a\\u{1b}[31m\\u{202e}é\\n");
        assert_eq!(shown("\u{85}\u{2028}", true), "\\u{85}\\u{2028}");
        assert_eq!(shown("a\u{1b}é", false), "a\u{1b}é");
    }

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        assert_eq!(shorten("abcdefghij", 5), "ab…ij");
        assert_eq!(shorten("abcdefghij", 6), "abc…ij");
        assert_eq!(shorten("abc", 3), "abc");
    }

    #[test]
    fn shapes_and_sizes_read_as_usual() {
        assert_eq!(shape(&[]), "()");
        assert_eq!(shape(&[3]), "(3,)");
        assert_eq!(shape(&[3, 4]), "(3, 4)");
        assert_eq!(size(1536), "1.50 KiB");
        assert_eq!(count(1, "array"), "1 array");
        assert_eq!(age(7199), "119 min");
    }
}
