//! Tables in Markdown, as SPECIFICATION.md holds them, and whether each promise is kept.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

pub fn table<const N: usize>(title: &str, head: [&str; N], rows: Vec<[String; N]>) {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(head).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n### {title}\n\n{table}");
}

/// A number that SPECIFICATION.md promises not to exceed, or not to fall below.
pub struct Promise {
    what: &'static str,
    limit: f64,
    least: bool,
    /// None where this run did not measure it.
    measured: Option<f64>,
    unit: &'static str,
}

impl Promise {
    pub fn at_most(what: &'static str, limit: f64, measured: Option<f64>) -> Self {
        Self { what, limit, least: false, measured, unit: "" }
    }

    pub fn at_least(what: &'static str, limit: f64, measured: Option<f64>) -> Self {
        Self { what, limit, least: true, measured, unit: "" }
    }

    pub fn in_unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    fn holds(&self) -> Option<bool> {
        self.measured.map(|measured| if self.least { measured >= self.limit } else { measured <= self.limit })
    }

    fn row(&self) -> [String; 4] {
        let number = |number: f64| format!("{} {}", digits(number), self.unit).trim_end().to_owned();
        let limit = format!("{} {}", if self.least { "≥" } else { "≤" }, number(self.limit));
        let verdict = match self.holds() {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "not measured",
        };
        [self.what.into(), limit, self.measured.map_or("-".into(), number), verdict.into()]
    }
}

fn digits(number: f64) -> String {
    match number.abs() {
        0.0 => "0".into(),
        small if small < 0.1 => format!("{number:.4}"),
        small if small < 100.0 => format!("{}", (number * 100.0).round() / 100.0),
        _ => format!("{number:.0}"),
    }
}

/// Prints them all. Returns whether each was measured and holds.
pub fn promises(promises: &[Promise]) -> bool {
    let rows = promises.iter().map(Promise::row).collect();
    table("Promises", ["promise", "limit", "measured", ""], rows);
    promises.iter().all(|promise| promise.holds() == Some(true))
}
