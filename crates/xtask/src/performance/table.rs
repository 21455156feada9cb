//! Markdown tables.

use std::fmt::Write as _;

/// A table with a head. Rows without results are omitted, as are tables without rows.
pub(super) struct Table {
    head: String,
    rows: String,
}

impl Table {
    pub(super) fn new<T: AsRef<str>>(head: impl IntoIterator<Item = T>) -> Self {
        let cells: Vec<T> = head.into_iter().collect();
        let mut table = Table { head: line(cells.iter().map(AsRef::as_ref)), rows: String::new() };
        table.head.push_str(&line(cells.iter().map(|_| "---")));
        table
    }

    /// Adds a row. Cells without a result are empty.
    pub(super) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = Option<String>>) {
        let cells: Vec<Option<String>> = cells.into_iter().collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.iter().map(|cell| cell.as_deref().unwrap_or_default());
            self.rows.push_str(&line(std::iter::once(name).chain(cells)));
        }
    }

    /// Returns the table; empty if it has no rows.
    pub(super) fn finish(self) -> String {
        if self.rows.is_empty() { String::new() } else { self.head + &self.rows }
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = cells.fold("|".to_owned(), |mut line, cell| {
        let _ = write!(line, " {cell} |");
        line
    });
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_results_are_omitted() {
        let mut table = Table::new(["", "a", "b"]);
        table.row("nothing", [None, None]);
        table.row("half", [Some("1".to_owned()), None]);
        assert_eq!(table.finish(), "|  | a | b |\n| --- | --- | --- |\n| half | 1 |  |\n");
        assert_eq!(Table::new(["a"]).finish(), "");
    }
}
