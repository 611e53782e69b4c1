//! What holds for every page.

mod pages;
mod protection;
mod samples;
pub mod visitor;
