//! Tables that fit the terminal; plain and not shortened for a pipe.

use anstyle::Style;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr as _;

use super::styled::Text;
use crate::text::{shorten, shorten_end, shorten_start, shown};

/// Number of spaces between two columns, one from each column.
const GAP: usize = 2;

/// One cell: its text, and the style in which it is printed. The table escapes the text for its reader.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, style: Style::new() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The part of a cell that is removed on a terminal that is too narrow, and the minimum width.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Give {
    /// The middle.
    Middle(usize),
    /// The start.
    Start(usize),
    /// The end.
    End(usize),
}

/// A table under construction.
#[derive(Debug)]
pub(crate) struct Columns {
    head: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
    shrinking: Vec<(usize, Give)>,
}

impl Columns {
    /// Creates a table with these headings; `>` before a heading aligns its column to the right. The columns in
    /// `shrinking` are shortened in this order until the table fits the terminal.
    pub(crate) fn new(head: &[&'static str], shrinking: &[(usize, Give)]) -> Self {
        let right = head.iter().map(|name| name.starts_with('>')).collect();
        let head = head.iter().map(|name| name.trim_start_matches('>')).collect();
        Self { head, right, rows: Vec::new(), shrinking: shrinking.to_vec() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Formats the table for a terminal of this width or for a pipe. Each line starts with `indent`.
    pub(crate) fn render(mut self, width: Option<usize>, indent: &'static str) -> Text {
        for cell in self.rows.iter_mut().flatten() {
            // Escape before the widths are computed: an escaped character takes more columns.
            cell.text = shown(&cell.text, width.is_some());
        }
        if let Some(width) = width {
            self.shorten_to(width.saturating_sub(indent.len()));
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let cell = |text: &str, right: bool| {
            let alignment = if right { CellAlignment::Right } else { CellAlignment::Left };
            comfy_table::Cell::new(text).set_alignment(alignment)
        };
        let row = |cells: &mut dyn Iterator<Item = &str>| {
            cells.zip(&self.right).map(|(text, right)| cell(text, *right)).collect::<Vec<_>>()
        };
        table.set_header(row(&mut self.head.iter().copied()));
        for cells in &self.rows {
            table.add_row(row(&mut cells.iter().map(|cell| cell.text.as_str())));
        }
        for (number, column) in table.column_iter_mut().enumerate() {
            // Two spaces between columns, and none at the left edge.
            column.set_padding((u16::from(number > 0), 1));
        }
        let rows = [None].into_iter().chain(self.rows.iter().map(Some));
        let mut out = Text::new();
        for (line, cells) in table.lines().zip(rows) {
            out.push(indent);
            push_line(line.trim_end(), cells.map_or(&[], Vec::as_slice), &mut out);
            out.end_line();
        }
        out
    }

    /// Shortens the `shrinking` columns until the table fits.
    fn shorten_to(&mut self, width: usize) {
        let mut widths: Vec<usize> =
            (0..self.head.len()).map(|column| self.width(column)).collect();
        for (column, give) in std::mem::take(&mut self.shrinking) {
            let needed = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
            let Some(excess) = needed.checked_sub(width).filter(|excess| *excess > 0) else {
                return;
            };
            let (Give::Middle(least) | Give::Start(least) | Give::End(least)) = give;
            let least = least.max(self.head[column].width());
            let room = widths[column].saturating_sub(excess).max(least);
            for cell in self.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
                cell.text = match give {
                    Give::Middle(_) => shorten(&cell.text, room),
                    Give::Start(_) => shorten_start(&cell.text, room),
                    Give::End(_) => shorten_end(&cell.text, room),
                };
            }
            widths[column] = self.width(column);
        }
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.text.width()).chain([self.head[column].width()]).max().unwrap_or(0)
    }
}

/// Appends a line of the table and sets the styles of its cells.
fn push_line(line: &str, cells: &[Cell], out: &mut Text) {
    let mut rest = line;
    for Cell { text, style } in cells {
        let Some(start) = rest.find(text.trim_end()) else { break };
        let (before, found) = rest.split_at(start);
        let (found, after) = found.split_at(text.trim_end().len());
        out.push(before);
        out.push_styled(found, *style);
        rest = after;
    }
    out.push(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::RED;

    fn columns() -> Columns {
        let mut columns = Columns::new(&["name", ">size"], &[(0, Give::Middle(8))]);
        columns.row(vec!["a-very-long-name-indeed".to_owned().into(), "1 KiB".to_owned().into()]);
        columns
    }

    fn plain(columns: Columns, width: Option<usize>) -> String {
        columns.render(width, "").render(width.is_some(), false)
    }

    #[test]
    fn pipe_gets_full_cells() {
        let text = plain(columns(), None);
        assert_eq!(text, "name                      size\na-very-long-name-indeed  1 KiB\n");
    }

    #[test]
    fn terminal_gets_shortened_cells() {
        let text = plain(columns(), Some(20));
        assert_eq!(text, "name            size\na-very…indeed  1 KiB\n");
    }

    #[test]
    fn cells_that_fit_exactly_are_not_shortened() {
        let whole = plain(columns(), None);
        assert_eq!(plain(columns(), Some(30)), whole);
        assert_ne!(plain(columns(), Some(29)), whole);
    }

    #[test]
    fn color_takes_no_columns() {
        let table = |colour| {
            let mut columns = Columns::new(&["name", "state", ">age"], &[(0, Give::Middle(4))]);
            let cells = ["live name", "live", "1 s"].map(str::to_owned);
            let [name, state, age] = cells;
            columns.row(vec![name.into(), Cell::styled(state, RED), age.into()]);
            columns.render(Some(21), "").render(true, colour)
        };
        assert_eq!(table(false), "name       state  age\nlive name  live   1 s\n");
        let painted = format!("{RED}live{RED:#}");
        assert_eq!(table(true), table(false).replace("  live ", &format!("  {painted} ")));
    }

    #[test]
    fn columns_are_shortened_in_the_given_order() {
        let table = |width| {
            let shrinking = [(1, Give::Start(5)), (0, Give::Middle(6))];
            let mut columns = Columns::new(&["key", "id"], &shrinking);
            columns.row(vec!["/group/name".to_owned().into(), "p.abcdefgh".to_owned().into()]);
            plain(columns, Some(width)).lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(table(23), "/group/name  p.abcdefgh");
        assert_eq!(table(20), "/group/name  …cdefgh");
        assert_eq!(table(15), "/gro…ame  …efgh");
        assert_eq!(table(5), "/gr…me  …efgh");
    }

    #[test]
    fn cells_are_escaped_before_their_widths_are_counted() {
        let mut columns = Columns::new(&["key", ">n"], &[(0, Give::Middle(8))]);
        columns.row(vec!["\u{1b}[2Ja\n".into(), "1".into()]);
        columns.row(vec!["b".into(), "2".into()]);
        let text = columns.render(Some(40), "  ").render(true, true);
        assert_eq!(text, "  key           n\n  \\u{1b}[2Ja\\n  1\n  b             2\n");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut columns = Columns::new(&["key", "x"], &[(0, Give::Middle(3))]);
        columns.row(vec!["/温度/測定値".to_owned().into(), "1".to_owned().into()]);
        let text = plain(columns, Some(10));
        assert!(text.lines().all(|line| line.width() <= 10), "{text}");
        assert!(text.contains("/温…値"), "{text}");
    }
}
