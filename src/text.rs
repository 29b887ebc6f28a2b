//! Formats sizes, ages and shapes, and escapes and shortens names.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Formats bytes: `1.50 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    humansize::format_size(bytes, humansize::BINARY)
}

/// Formats seconds: `3 min`, `2 days`.
pub(crate) fn age(seconds: i64) -> String {
    match seconds {
        ..0 => "in the future".to_owned(),
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Formats a time of the ledger, rounded down to seconds.
pub(crate) fn time(time: &str) -> String {
    let seconds = |time: jiff::Timestamp| jiff::Timestamp::from_second(time.as_second()).ok();
    let time_read = time.parse().ok().and_then(seconds);
    time_read.map_or_else(|| time.to_owned(), |time| time.to_string())
}

/// Formats a number with its noun: `1 array`, `2 arrays`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Whether a character can mislead a terminal: control characters, bidirectional formatting, line separators.
pub(crate) fn is_unsafe(c: char) -> bool {
    let bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    c.is_control() || bidi || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Escapes a part of a line: unsafe characters for a terminal, line ends also for a pipe. `output::Text`
/// does this when it is written; callers need it only where the width counts.
pub(crate) fn shown(name: &str, terminal: bool) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '\n' | '\r' => out.extend(c.escape_default()),
            c if terminal && is_unsafe(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Wraps text between words into lines of at most `width` columns. A longer word gets its own line.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Shortens in the middle to at most `width` columns of a terminal.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width || width == 0 {
        return text.to_owned();
    }
    let (head, tail) = ((width - 1).div_ceil(2), (width - 1) / 2);
    format!("{}…{}", head_of(text, head), tail_of(text, tail))
}

/// Shortens at the beginning to at most `width` columns of a terminal.
pub(crate) fn shorten_start(text: &str, width: usize) -> String {
    match text.width() <= width || width == 0 {
        true => text.to_owned(),
        false => format!("…{}", tail_of(text, width - 1)),
    }
}

/// Shortens at the end to at most `width` columns of a terminal.
pub(crate) fn shorten_end(text: &str, width: usize) -> String {
    match text.width() <= width || width == 0 {
        true => text.to_owned(),
        false => format!("{}…", head_of(text, width - 1)),
    }
}

/// Returns the longest prefix that fits.
fn head_of(text: &str, width: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > width
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// Returns the longest suffix that fits.
fn tail_of(text: &str, width: usize) -> &str {
    let mut used = 0;
    let before = text.char_indices().rev().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > width
    });
    before.map_or(text, |(start, c)| &text[start + c.len_utf8()..])
}

/// Formats a shape like numpy: `(2, 3)`, `(5,)`, `()`.
pub(crate) fn shape(shape: &[u64]) -> String {
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
        assert_eq!(shorten("温度計の値", 7), "温…値");
        assert_eq!(shorten_start("abcdefghij", 5), "…ghij");
        assert_eq!(shorten_start("温度計", 4), "…計");
        assert_eq!(shorten_end("abcdefghij", 5), "abcd…");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("ab cd efghijkl m", 5), ["ab cd", "efghijkl", "m"]);
        assert_eq!(wrapped("ab  c", 9), ["ab  c"]);
        assert_eq!(wrapped("", 9), [""]);
    }

    #[test]
    fn shapes_and_sizes_read_as_usual() {
        assert_eq!(shape(&[]), "()");
        assert_eq!(shape(&[3]), "(3,)");
        assert_eq!(shape(&[3, 4]), "(3, 4)");
        assert_eq!(size(1536), "1.50 KiB");
        assert_eq!(count(1, "array"), "1 array");
        assert_eq!(age(7199), "119 min");
        assert_eq!(time("2026-11-25T19:20:46.96994054Z"), "2026-11-25T19:20:46Z");
        assert_eq!(time("yesterday"), "yesterday");
    }
}
