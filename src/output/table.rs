//! Tables: as wide as the terminal and no wider; plain and untruncated into a pipe.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::text::shorten;

/// A table under construction.
#[derive(Debug)]
pub struct Columns {
    head: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
    flexible: usize,
}

impl Columns {
    /// Columns with these headings; `>` before a heading aligns its column to the right. Names in the
    /// column `flexible` are shortened when the terminal is too narrow.
    pub fn new(head: &[&'static str], flexible: usize) -> Self {
        let right = head.iter().map(|name| name.starts_with('>')).collect();
        let head = head.iter().map(|name| name.trim_start_matches('>')).collect();
        Self { head, right, rows: Vec::new(), flexible }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table's text, one line a row.
    pub fn render(mut self, width: Option<usize>) -> String {
        if let Some(width) = width {
            self.shorten_to(width);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let cell = |text: &str, right: bool| {
            let alignment = if right { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(alignment)
        };
        let row = |cells: &mut dyn Iterator<Item = &str>| {
            cells.zip(&self.right).map(|(text, right)| cell(text, *right)).collect::<Vec<_>>()
        };
        table.set_header(row(&mut self.head.iter().copied()));
        for cells in &self.rows {
            table.add_row(row(&mut cells.iter().map(String::as_str)));
        }
        for (number, column) in table.column_iter_mut().enumerate() {
            column.set_padding((u16::from(number > 0), 1));
        }
        table.lines().flat_map(|line| [line.trim_end(), "\n"].map(str::to_owned)).collect()
    }

    /// Shortens the flexible column until the whole fits.
    fn shorten_to(&mut self, width: usize) {
        let chars = |text: &str| text.chars().count();
        let longest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|text| chars(text));
            cells.chain([chars(self.head[column])]).max().unwrap_or(0)
        };
        let columns = self.head.len();
        let others: usize = (0..columns).filter(|c| *c != self.flexible).map(longest).sum();
        let room = width.saturating_sub(others + 2 * columns).max(8);
        for row in &mut self.rows {
            if let Some(text) = row.get_mut(self.flexible) {
                *text = shorten(text, room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        let mut columns = Columns::new(&["name", ">size"], 0);
        columns.row(vec!["a-very-long-name-indeed".to_owned(), "1 KiB".to_owned()]);
        columns
    }

    #[test]
    fn a_pipe_gets_everything() {
        let text = columns().render(None);
        assert_eq!(text, "name                      size\na-very-long-name-indeed  1 KiB\n");
    }

    #[test]
    fn a_terminal_gets_what_fits() {
        let text = columns().render(Some(20));
        assert!(text.lines().all(|line| line.chars().count() <= 20), "{text}");
        assert!(text.contains('…'));
    }
}
