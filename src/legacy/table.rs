//! Tables with the lines and widths of the Python commands, for programs that parse them.

use unicode_width::UnicodeWidthStr as _;

use crate::legacy::wrap::{Align, Long, place, whole, wrap};

/// A column: its title, the alignment of its cells, and whether they wrap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) head: &'static str,
    pub(crate) align: Align,
    pub(crate) wraps: bool,
}

/// Formats a table, in at most `width` columns of a terminal if possible.
pub(crate) fn render(
    title: &str,
    columns: &[Column],
    rows: &[Vec<String>],
    width: usize,
) -> String {
    let borders = columns.len() + 1;
    let widths = fit(columns, rows, width.saturating_sub(borders));
    let total = widths.iter().sum::<usize>() + borders;
    let mut lines: Vec<String> = wrap(title, total, Long::Fold)
        .iter()
        .map(|line| place(line, total, Align::Center))
        .collect();
    let rule = |[left, line, between, right]: [&str; 4]| {
        let parts: Vec<String> = widths.iter().map(|width| line.repeat(*width)).collect();
        format!("{left}{}{right}", parts.join(between))
    };
    let heads: Vec<String> = columns.iter().map(|column| column.head.to_owned()).collect();
    lines.push(rule(["┏", "━", "┳", "┓"]));
    lines.extend(row(columns, &heads, &widths, "┃"));
    lines.push(rule(["┡", "━", "╇", "┩"]));
    for cells in rows {
        lines.extend(row(columns, cells, &widths, "│"));
    }
    lines.push(rule(["└", "─", "┴", "┘"]));
    lines.push(String::new());
    lines.join("\n")
}

/// Formats a row. Titles are aligned to the bottom of the row, other cells to the top.
fn row(columns: &[Column], cells: &[String], widths: &[usize], border: &str) -> Vec<String> {
    let head = border == "┃";
    let folded: Vec<Vec<String>> = columns
        .iter()
        .zip(cells)
        .zip(widths)
        .map(|((column, cell), width)| {
            let inner = width.saturating_sub(2);
            let lines =
                if column.wraps { wrap(cell, inner, Long::Cut) } else { whole(cell, inner) };
            lines.iter().map(|line| place(line, inner, column.align)).collect()
        })
        .collect();
    let height = folded.iter().map(Vec::len).max().unwrap_or(1);
    let line = |number: usize| {
        let parts = folded.iter().zip(widths).map(|(lines, width)| {
            let above = if head { height - lines.len() } else { 0 };
            let text = number.checked_sub(above).and_then(|number| lines.get(number));
            match text {
                // The width suffices only for the spaces.
                _ if *width < 3 => " ".repeat(*width),
                Some(text) => format!(" {text} "),
                None => " ".repeat(*width),
            }
        });
        format!("{border}{}{border}", parts.collect::<Vec<_>>().join(border))
    };
    (0..height).map(line).collect()
}

/// Returns the widths of the columns, with a space on either side. If the table is too wide, reduces the widest
/// columns to the width of the next ones, and so on.
fn fit(columns: &[Column], rows: &[Vec<String>], room: usize) -> Vec<usize> {
    let need = |number: usize| {
        let cells = rows.iter().filter_map(|row| row.get(number));
        let widest = cells.map(|cell| cell.width()).max().unwrap_or(0);
        (widest.max(columns[number].head.width()) + 2).min(room)
    };
    let mut widths: Vec<usize> = (0..columns.len()).map(need).collect();
    let excess = |widths: &[usize]| widths.iter().sum::<usize>().saturating_sub(room);
    while excess(&widths) > 0 {
        let shrinks = |(column, width): (&Column, &usize)| if column.wraps { *width } else { 0 };
        let sizes: Vec<usize> = columns.iter().zip(&widths).map(shrinks).collect();
        let widest = sizes.iter().copied().max().unwrap_or(0);
        let second = sizes.iter().copied().filter(|size| *size != widest).max().unwrap_or(0);
        if widest == second {
            break;
        }
        let which: Vec<bool> = sizes.iter().map(|size| *size == widest).collect();
        let most = excess(&widths).min(widest - second);
        let over = excess(&widths);
        reduce(&mut widths, &which, over, |_| most);
    }
    let over = excess(&widths);
    if over > 0 {
        // Cut columns that do not wrap.
        let all: Vec<bool> = widths.iter().map(|width| *width > 0).collect();
        reduce(&mut widths, &all, over, |width| width);
    }
    widths
}

/// Reduces the chosen widths by `total` in equal parts, each by at most `most`.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn reduce(widths: &mut [usize], which: &[bool], total: usize, most: impl Fn(usize) -> usize) {
    let mut left = total;
    let mut count = which.iter().filter(|chosen| **chosen).count();
    for (width, _) in widths.iter_mut().zip(which).filter(|(_, chosen)| **chosen) {
        let part = (left as f64 / count as f64).round_ties_even() as usize;
        let part = part.min(most(*width));
        *width -= part;
        left -= part;
        count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [
        Column { head: "Key", align: Align::Left, wraps: false },
        Column { head: "Two words", align: Align::Right, wraps: true },
    ];

    #[test]
    fn wide_table_wraps() {
        let rows = [vec!["key".to_owned(), "1 2".to_owned()]];
        let table = render("T", &COLUMNS, &rows, 16);
        let want = [
            "       T        ",
            "┏━━━━━┳━━━━━━━━┓",
            "┃     ┃    Two ┃",
            "┃ Key ┃  words ┃",
            "┡━━━━━╇━━━━━━━━┩",
            "│ key │    1 2 │",
            "└─────┴────────┘",
        ];
        assert!(table.lines().eq(want), "{table}");
    }
}
