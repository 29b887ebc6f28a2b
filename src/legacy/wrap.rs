//! Wraps, cuts and aligns text like the tables of the Python commands.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The treatment of a word that is longer than a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Long {
    /// Continue it in the next line.
    Fold,
    /// Cut it and append `…`.
    Cut,
}

/// The alignment of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Center,
    Right,
}

/// Wraps one line of text between words. Spaces remain at the end of a line if they fit.
pub(crate) fn wrap(text: &str, width: usize, long: Long) -> Vec<String> {
    let mut breaks: Vec<usize> = Vec::new();
    let mut column = 0;
    for (start, word) in words(text) {
        let length = word.trim_end().width();
        if length + column <= width {
            column += word.width();
        } else if length <= width || long == Long::Cut {
            breaks.push(start);
            column = word.width();
        } else {
            let pieces = pieces(word, width);
            column = pieces.last().map_or(0, |piece| piece.width());
            let mut at = start;
            for piece in pieces {
                breaks.push(at);
                at += piece.len();
            }
        }
    }
    breaks.retain(|at| *at > 0);
    let ends = breaks.iter().copied().chain([text.len()]);
    let starts = [0].into_iter().chain(breaks.iter().copied());
    starts.zip(ends).map(|(from, to)| cut(crop(&text[from..to], width), width, long)).collect()
}

/// Returns each word with its offset and the spaces after it; the first word includes those before it.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut starts = Vec::new();
    let mut before = true;
    for (at, c) in text.char_indices() {
        if before && !c.is_whitespace() {
            starts.push(if starts.is_empty() { 0 } else { at });
        }
        before = c.is_whitespace();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(from, to)| (from, &text[from..to])).collect()
}

/// Splits a word into pieces of at most `width` columns.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let (mut found, mut from, mut column) = (Vec::new(), 0, 0);
    for (at, c) in word.char_indices() {
        let wide = c.width().unwrap_or(0);
        if column + wide > width && at > from {
            found.push(&word[from..at]);
            (from, column) = (at, 0);
        }
        column += wide;
    }
    found.push(&word[from..]);
    found
}

/// Removes trailing spaces beyond the width.
fn crop(line: &str, width: usize) -> &str {
    let excess = line.chars().count().saturating_sub(width);
    let spaces = line.len() - line.trim_end_matches(' ').len();
    &line[..line.len() - spaces.min(excess)]
}

fn cut(line: &str, width: usize, long: Long) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let (room, mark) = match long {
        Long::Fold => (width, ""),
        Long::Cut => (width.saturating_sub(1), "…"),
    };
    let head = pieces(line, room.max(1))[0];
    // A wide character that does not fit leaves a space.
    let gap = " ".repeat(room.saturating_sub(head.width()));
    format!("{}{gap}{mark}", if room == 0 { "" } else { head })
}

/// Returns the text as one line, cut to the width.
pub(crate) fn whole(text: &str, width: usize) -> Vec<String> {
    vec![cut(crop(text, width), width, Long::Cut)]
}

/// Pads the line with spaces to the width.
pub(crate) fn place(line: &str, width: usize, align: Align) -> String {
    let text = if align == Align::Left { line } else { line.trim_end() };
    let room = width.saturating_sub(text.width());
    let before = match align {
        Align::Left => 0,
        Align::Center => room / 2,
        Align::Right => room,
    };
    format!("{}{text}{}", " ".repeat(before), " ".repeat(room - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("aa bb cc", 5, Long::Fold), ["aa bb", "cc"]);
        assert_eq!(wrap("aa  bb cc", 5, Long::Fold), ["aa  ", "bb cc"]);
        assert_eq!(wrap("", 5, Long::Fold), [""]);
    }

    #[test]
    fn long_words_are_folded_or_cut() {
        assert_eq!(wrap("a bcdefgh i", 4, Long::Fold), ["a ", "bcde", "fgh ", "i"]);
        assert_eq!(wrap("a bcdefgh i", 4, Long::Cut), ["a ", "bcd…", "i"]);
        assert_eq!(whole("a bcdefgh", 4), ["a b…"]);
    }

    #[test]
    fn lines_are_aligned() {
        assert_eq!(place("ab ", 5, Align::Right), "   ab");
        assert_eq!(place("ab", 5, Align::Center), " ab  ");
    }
}
