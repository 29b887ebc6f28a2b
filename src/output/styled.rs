//! Text with styles, escaped when it is written: the only form in which commands print text. Names, paths and
//! messages come from files and other users, so no caller has to remember to escape them.

use anstyle::Style;

use crate::text::{is_unsafe, shown};

/// Text of one or several lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text(Vec<Span>);

#[derive(Debug, Clone)]
struct Span {
    text: String,
    style: Style,
    content: Content,
}

/// Which characters a span may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A part of a line: line ends in it are escaped too.
    Inline,
    /// Lines: line ends and tabs are kept.
    Block,
    /// Lines with sequences that set colors, drawn by this program.
    Drawing,
    /// The end of a line.
    LineEnd,
}

impl Text {
    /// No text.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Lines that end with line ends, such as code.
    pub(crate) fn block(lines: impl Into<String>) -> Self {
        Self::of(lines.into(), Style::new(), Content::Block)
    }

    /// Lines in which sequences that set colors are kept, such as a plot. They must not contain names.
    pub(crate) fn drawing(lines: impl Into<String>) -> Self {
        Self::of(lines.into(), Style::new(), Content::Drawing)
    }

    /// A part of a line in this style.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self::of(text.into(), style, Content::Inline)
    }

    fn of(text: String, style: Style, content: Content) -> Self {
        Self(vec![Span { text, style, content }])
    }

    /// Appends a part of a line, or other text.
    pub(crate) fn push(&mut self, text: impl Into<Self>) {
        self.0.extend(text.into().0);
    }

    /// Appends a part of a line in this style.
    pub(crate) fn push_styled(&mut self, text: impl Into<String>, style: Style) {
        self.push(Self::styled(text, style));
    }

    /// Appends a line end.
    pub(crate) fn end_line(&mut self) {
        self.push(Self::of("\n".to_owned(), Style::new(), Content::LineEnd));
    }

    /// The text as it is written: escaped for a terminal, and with colors if they are wanted.
    pub(crate) fn render(&self, terminal: bool, color: bool) -> String {
        self.0.iter().map(|span| span.render(terminal, color)).collect()
    }
}

impl Span {
    fn render(&self, terminal: bool, color: bool) -> String {
        let text = match self.content {
            Content::LineEnd => return self.text.clone(),
            Content::Inline => shown(&self.text, terminal),
            Content::Block | Content::Drawing if !terminal => self.text.clone(),
            Content::Block => escape_block(&self.text),
            Content::Drawing => escape_drawing(&self.text),
        };
        let style = self.style;
        if color { format!("{style}{text}{style:#}") } else { text }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::of(text, Style::new(), Content::Inline)
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.clone().into()
    }
}

fn escape_block(text: &str) -> String {
    if !text.chars().any(|c| is_unsafe(c) && !"\n\t".contains(c)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if is_unsafe(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Escapes everything but sequences that set colors: ESC, `[`, digits and semicolons, `m`.
fn escape_drawing(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = escape_block(parts.next().unwrap_or_default());
    for part in parts {
        let sequence = part.strip_prefix('[').and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            rest[end..].starts_with('m').then_some(end + 2)
        });
        out.push_str(if sequence.is_some() { "\u{1b}" } else { "\\u{1b}" });
        let (kept, rest) = part.split_at(sequence.unwrap_or(0));
        out.push_str(kept);
        out.push_str(&escape_block(rest));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::RED;

    const HOSTILE: &str = "a\u{1b}[31m\u{202e}\u{9b}\nb\t";

    #[test]
    fn part_of_a_line_is_escaped_for_a_terminal() {
        let text = Text::from(HOSTILE);
        assert_eq!(text.render(true, true), "a\\u{1b}[31m\\u{202e}\\u{9b}\\nb\\t");
        assert_eq!(text.render(false, false), "a\u{1b}[31m\u{202e}\u{9b}\\nb\t");
    }

    #[test]
    fn only_styles_of_this_program_set_colors() {
        let text = Text::styled(HOSTILE, RED);
        let plain = text.render(true, false);
        assert_eq!(text.render(true, true), format!("{RED}{plain}{RED:#}"));
    }

    #[test]
    fn block_keeps_its_lines() {
        let text = Text::block(HOSTILE);
        assert_eq!(text.render(true, false), "a\\u{1b}[31m\\u{202e}\\u{9b}\nb\t");
        assert_eq!(text.render(false, false), HOSTILE);
    }

    #[test]
    fn drawing_keeps_only_colors() {
        let text = Text::drawing("\u{1b}[38;5;1mx\u{1b}[0m\n\u{1b}[2Jy\u{1b}]0;t\u{7}\u{1b}");
        let shown = "\u{1b}[38;5;1mx\u{1b}[0m\n\\u{1b}[2Jy\\u{1b}]0;t\\u{7}\\u{1b}";
        assert_eq!(text.render(true, false), shown);
    }

    #[test]
    fn only_the_caller_ends_lines() {
        let mut text = Text::new();
        text.push("a\n");
        text.end_line();
        text.push_styled("b", RED);
        assert_eq!(text.render(false, false), "a\\n\nb");
    }
}
