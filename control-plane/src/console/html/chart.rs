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

/// The chart. `parts` are what the parts of a column are called, `highest_text` how much the highest column is.
pub fn columns(parts: &[&str], columns: &[Column], highest_text: &str) -> Markup {
    let count = u32::try_from(columns.len().max(1)).unwrap_or(u32::MAX);
    let highest = columns.iter().map(Column::total).max().unwrap_or_default().max(1);
    let step = WIDTH / count.min(WIDTH);
    let width = step.saturating_sub(GAP).max(1);
    html! {
        figure .chart {
            p .peak aria-hidden="true" { (highest_text) }
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
                    @for (index, part) in parts.iter().enumerate() { span class={ "key part-" (index) } { (part) } }
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
            title { (column.label) }
            @for (index, y, height) in drawn {
                rect class={ "part-" (index) } x=(x) y=(y) width=(width) height=(height) {}
            }
        }
    }
}

impl Column {
    /// All parts together.
    pub fn total(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// The height of a part; what is there at all can be seen.
fn scaled(part: u64, highest: u64) -> u32 {
    let height = u128::from(part) * u128::from(HEIGHT) / u128::from(highest.max(1));
    u32::try_from(height).unwrap_or(HEIGHT).max(u32::from(part > 0) * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_part_is_as_high_as_its_share_and_never_invisible(part in 0..=u64::MAX, more in 0..=u64::MAX) {
            let highest = part.max(more);
            let height = scaled(part, highest);
            prop_assert!(height <= HEIGHT && (height == 0) == (part == 0));
            prop_assert!(highest == 0 || scaled(highest, highest) == HEIGHT);
        }

        #[test]
        fn columns_stay_within_the_chart(parts in prop::collection::vec(0..1_000_u64, 1..400)) {
            let all: Vec<Column> = parts.iter().map(|part| Column { label: String::new(), parts: vec![*part, 1] }).collect();
            let drawn = columns(&["a", "b"], &all, "1").into_string();
            let read = |attribute: &str| -> Vec<u32> {
                drawn.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
            };
            let (x, width) = (read(" x=\""), read(" width=\""));
            prop_assert!(x.iter().zip(&width).all(|(x, width)| x + width <= WIDTH));
            let (y, height) = (read(" y=\""), read(" height=\""));
            prop_assert!(y.iter().zip(&height).all(|(y, height)| y + height <= HEIGHT));
        }
    }
}
