//! Aligned columns. The same in a pipe as on a terminal: nothing depends on the terminal's width.

/// Where a cell stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// The widths of a table's columns. They only grow, so that rows which come later still line up.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(Align, usize)>,
}

impl Table {
    /// Columns with their least widths, in characters.
    pub(super) fn new(columns: impl IntoIterator<Item = (Align, usize)>) -> Self {
        Self { columns: columns.into_iter().collect() }
    }

    /// Makes room for a row. A cell beyond the last column takes no room.
    pub(super) fn fit(&mut self, row: &[String]) {
        for ((_, width), cell) in self.columns.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    /// A row as a line, without space at its end.
    pub(super) fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let (align, width) = self.columns.get(at).copied().unwrap_or((Align::Left, 0));
            let gap = if at == 0 { "" } else { "  " };
            line.push_str(gap);
            line.push_str(&match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "1", "x"], ["bcd", "23", ""]].map(|row| row.map(str::to_owned));
        let mut table = Table::new([(Align::Left, 0), (Align::Right, 3)]);
        for row in &rows {
            table.fit(row);
        }
        assert_eq!(rows.map(|row| table.line(&row)), ["a      1  x", "bcd   23"]);
    }
}
