//! Every page in every state: accessible, small, fast, and of one piece.

use portcullis_tests::machine;
use portcullis_tests::office::Office;
use serde_json::{Value, json};

/// So many keys that every list of theirs has a second page.
const CROWD: usize = 110;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_small_fast_and_of_one_piece() {
    let _alone = machine::alone().await;
    let mut office = Office::open(CROWD).await;
    show(&office.house.browse("pages.py", json!({"list": "PAGES", "places": office.places})).await);
    office.lose_a_gateway().await;
    show(&office.house.browse("pages.py", json!({"list": "AFTERMATH", "places": office.places})).await);
}

/// The figures of each page.
fn show(measured: &Value) {
    for (name, figures) in measured.as_object().expect("pages") {
        println!("{name}: {} bytes, first rendered after {} ms", figures["bytes"], figures["render_ms"]);
        for minor in figures["minor"].as_array().expect("a list") {
            println!("  {minor}");
        }
    }
}
