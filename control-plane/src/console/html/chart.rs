//! Columns over time, drawn here as SVG: no script, no style that a policy would have to allow.
//!
//! The table beside a chart says the same to whoever cannot see it, so the drawing itself is hidden from screen readers.

use maud::{Markup, html};

const WIDTH: u32 = 720;
const HEIGHT: u32 = 180;
const GAP: u32 = 2;

/// A column: what it is called, and the parts that it is put together from, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The time that it stands for.
    pub label: String,
    /// How much of each part; all columns of a chart have the same parts.
    pub parts: Vec<u64>,
}

/// The chart. `parts` are what the parts of a column are called.
pub fn columns(parts: &[&str], columns: &[Column]) -> Markup {
    let count = u32::try_from(columns.len().max(1)).unwrap_or(u32::MAX);
    let highest = columns.iter().map(total).max().unwrap_or_default().max(1);
    let step = WIDTH / count.min(WIDTH);
    let width = step.saturating_sub(GAP).max(1);
    html! {
        figure .chart {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true" {
                @for (index, column) in (0_u32..).zip(columns) {
                    (bar(column, index * step, width, highest))
                }
                line .axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            }
            figcaption {
                span .range {
                    @if let (Some(first), Some(last)) = (columns.first(), columns.last()) {
                        span { (first.label) } span { (last.label) }
                    }
                }
                span .legend {
                    @for (index, part) in parts.iter().enumerate() { span .key class={ "part-" (index) } { (part) } }
                }
            }
        }
    }
}

fn bar(column: &Column, x: u32, width: u32, highest: u64) -> Markup {
    let mut top = HEIGHT;
    let mut drawn = Vec::new();
    for (index, part) in column.parts.iter().enumerate() {
        let height = scaled(*part, highest).min(top);
        top -= height;
        if height > 0 {
            drawn.push((index, top, height));
        }
    }
    html! {
        g {
            title { (column.label) ": " (crate::console::html::money::grouped(total(column))) }
            @for (index, y, height) in drawn {
                rect class={ "part-" (index) } x=(x) y=(y) width=(width) height=(height) {}
            }
        }
    }
}

fn total(column: &Column) -> u64 {
    column.parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
}

/// The height of a part; what is there at all can be seen.
fn scaled(part: u64, highest: u64) -> u32 {
    let height = u128::from(part) * u128::from(HEIGHT) / u128::from(highest.max(1));
    u32::try_from(height).unwrap_or(HEIGHT).max(u32::from(part > 0) * 2)
}
