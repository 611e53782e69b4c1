//! `/v1/usage`: what was used, by whom and where, and what it cost.

mod accept;
mod csv;
pub mod list;
mod view;

#[cfg(test)]
mod tests;
