//! Columns over time, drawn here as SVG: no script, no style that a policy would have to allow.
//!
//! The table beside a chart says the same to whoever cannot see it, so the figure is hidden from screen readers.

use maud::{Markup, html};

/// So fine that columns fill the whole width, however many there are.
const WIDTH: u32 = 72_000;
const HEIGHT: u32 = 180;
/// How many times the gap after a column goes into its place.
const GAPS: u32 = 8;

/// A column: what it is called, and the parts that it is put together from, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The time that it stands for.
    pub label: String,
    /// What is said of it when it is pointed at.
    pub told: String,
    /// How much of each part; all columns of a chart have the same parts.
    pub parts: Vec<u64>,
}

/// The chart. `parts` are what the parts of a column are called, `highest_text` how much the highest column is.
pub fn columns(parts: &[&str], columns: &[Column], highest_text: &str) -> Markup {
    let count = u32::try_from(columns.len()).unwrap_or(u32::MAX);
    let highest = columns.iter().map(Column::total).max().unwrap_or_default().max(1);
    html! {
        figure .chart aria-hidden="true" {
            p .peak { (highest_text) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                @for (index, column) in (0_u32..).zip(columns) {
                    (bar(column, edge(index, count), edge(index.saturating_add(1), count), highest))
                }
                line .axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            }
            figcaption {
                span .range {
                    @if let Some(first) = columns.first() { span { (first.label) } }
                    @if let [_, .., last] = columns { span { (last.label) } }
                }
                span .legend {
                    @for (index, part) in parts.iter().enumerate() { span class={ "key part-" (index) } { (part) } }
                }
            }
        }
    }
}

/// Where the place of a column begins, of so many.
fn edge(index: u32, count: u32) -> u32 {
    let left = u64::from(index) * u64::from(WIDTH) / u64::from(count.max(1));
    u32::try_from(left).unwrap_or(WIDTH).min(WIDTH)
}

/// A column in its place, which can be pointed at from top to bottom.
fn bar(column: &Column, left: u32, right: u32, highest: u64) -> Markup {
    let place = right.saturating_sub(left);
    let width = place - place / GAPS;
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
            title { (column.told) }
            rect x=(left) y="0" width=(place) height=(HEIGHT) fill="none" pointer-events="all" {}
            @for (index, y, height) in drawn {
                rect class={ "part-" (index) } x=(left) y=(y) width=(width) height=(height) {}
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
        fn places_follow_each_other_and_fill_the_width(count in 1..1_000_u32) {
            prop_assert_eq!((edge(0, count), edge(count, count)), (0, WIDTH));
            let places: Vec<u32> = (0..count).map(|index| edge(index + 1, count) - edge(index, count)).collect();
            let (least, most) = (places.iter().min(), places.iter().max());
            prop_assert!(least.zip(most).is_some_and(|(least, most)| *least > 0 && most - least <= 1));
        }

        #[test]
        fn columns_stay_within_the_chart(parts in prop::collection::vec(0..1_000_u64, 1..400)) {
            let column = |part: &u64| Column { label: String::new(), told: String::new(), parts: vec![*part, 1] };
            let all: Vec<Column> = parts.iter().map(column).collect();
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

    #[test]
    fn the_ends_are_labelled_once() {
        let all: Vec<Column> = ["first", "between", "last"]
            .map(|label| Column { label: label.to_owned(), told: format!("{label}: 1"), parts: vec![1] })
            .to_vec();
        let of = |count: usize| columns(&["a"], &all[..count], "1").into_string();
        assert!(of(3).contains("<span>first</span><span>last</span>") && of(3).contains("<title>between: 1</title>"));
        assert!(of(1).contains("<span class=\"range\"><span>first</span></span>"));
        assert!(of(0).contains("<span class=\"range\"></span>"));
    }
}
