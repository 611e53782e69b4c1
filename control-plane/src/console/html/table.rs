//! Tables, which become cards where there is no room for columns.

use maud::{Markup, html};

/// What stands over a column.
#[derive(Debug, Clone)]
pub enum Head<'a> {
    /// What is in it.
    Text(&'a str),
    /// The same, of numbers.
    Number(&'a str),
    /// What can be done with a row.
    Actions,
    /// A cell of one's own.
    Cell(Markup),
}

/// The table; its caption is for who does not see what it is in the midst of.
pub fn table(caption: &str, heads: &[Head<'_>], rows: &Markup) -> Markup {
    html! {
        table .cards {
            caption .sr { (caption) }
            thead { tr { @for head in heads { (cell(head)) } } }
            tbody { (rows) }
        }
    }
}

fn cell(head: &Head<'_>) -> Markup {
    html! {
        @match head {
            Head::Text(text) => th scope="col" { (text) },
            Head::Number(text) => th .number scope="col" { (text) },
            Head::Actions => th scope="col" { span .sr { "Actions" } },
            Head::Cell(cell) => (cell),
        }
    }
}
