//! `make screenshots`: takes pictures of every page of the console, in a house as it is after a month of use.
//!
//! The one argument is the folder that they go to. It panics when something cannot be done, as a test would.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a tool of ours that reports to whoever runs it")]

use std::path::PathBuf;

use portcullis_tests::office::Office;
use serde_json::json;

/// So many keys that the list is as long as in a team's daily work.
const CROWD: usize = 6;

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder that pictures go to"));
    let mut office = Office::open(CROWD).await;
    let mut bytes = 0;
    for list in ["PAGES", "AFTERMATH"] {
        if list == "AFTERMATH" {
            office.lose_a_gateway().await;
        }
        let input = json!({"list": list, "places": office.places, "folder": folder});
        let taken = office.house.browse("screenshots.py", input).await;
        for (name, size) in taken.as_object().expect("pictures") {
            println!("{name}.png: {size} bytes");
            bytes += size.as_u64().expect("a size");
        }
    }
    println!("{} KB in {}", bytes / 1000, folder.display());
}
