//! Usage in the console, without a browser.

use crate::api::testing::{Harness, text};
use crate::console::tests::visitor::Visitor;
use crate::domain::user::RoleName;

#[tokio::test]
async fn every_question_has_an_answer_and_a_table_to_download() {
    let harness = Harness::furnished().await;
    let key = harness.issue("k").await;
    let mut root = Visitor::signed_in(&harness, "root", RoleName::Operator).await;
    let key = format!("key={}", text(&key, "id"));
    for query in [
        "",
        "range=24h&by=user",
        "range=7d&by=api&show=tokens",
        "range=month&by=organization&show=cost",
        &format!("by=day&{key}"),
        "range=custom&from=2026-12-01&to=2026-12-31",
    ] {
        let page = root.get(&format!("/usage?{query}")).await.expect(200).read();
        assert!(page.contains("Nothing was used in this time."), "{query}: {page}");
        let table = root.get(&format!("/usage.csv?{query}")).await.expect(200);
        assert!(table.headers["content-type"].to_str().unwrap().starts_with("text/csv"), "{query}");
        assert!(table.headers["content-disposition"].to_str().unwrap().contains("usage.csv"));
        assert!(table.text.contains("calls,refused"), "{query}: {}", table.text);
    }
    assert!(root.get(&format!("/usage?{key}")).await.expect(200).read().contains("Key k"));
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let harness = Harness::furnished().await;
    let mut ada = Visitor::signed_in(&harness, "ada", RoleName::Member).await;
    for (query, status) in [
        ("range=custom", 422),
        ("range=custom&from=2026-13-01&to=2026-12-31", 422),
        ("range=century", 400),
        ("key=key_0000000000000", 404),
        ("key=../users", 404),
        ("api=%3Cscript%3E", 404),
    ] {
        assert_eq!(ada.get(&format!("/usage?{query}")).await.status, status, "{query}");
    }
    let page = ada.get("/usage?range=custom&from=2026-12-31&to=2026-12-01&show=cost").await.expect(422);
    assert!(page.read().contains("This is before the first day."), "{}", page.text);
    assert_eq!(page.values("#from, #to, [name=show]"), ["cost", "2026-12-31", "2026-12-01"]);
    ada.get("/usage.csv?range=custom&from=2026-12-31&to=2026-12-01").await.expect(400);
}
