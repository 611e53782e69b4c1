//! The specification's story, lived in a browser by an admin and by a member.

use portcullis_tests::house::House;
use portcullis_tests::machine;
use serde_json::{Value, json};

/// Who has which part of the menu is a matter of roles.
const OF_OPERATORS: [&str; 2] = ["Organizations", "Gateways"];
const OF_ADMINS: [&str; 2] = ["Members", "Audit"];

/// A key of somebody else, as a script looks for it.
async fn foreign(house: &House, kind: &str, name: &str, organization: &str) -> Value {
    let key = house.issue(kind, json!({"name": name, "organization": organization})).await;
    json!({"id": key.id, "name": name})
}

async fn tell(house: &House, name: &str, others: Vec<Value>, absent: Vec<&str>) {
    let paths = json!({"Serverless": "/v1", "Dedicated": "/dedicated/v1"});
    let input = json!({"name": name, "paths": paths, "others": others, "absent": absent});
    house.browse("story.py", input).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_lives_the_story_of_the_specification_in_a_browser() {
    let _shared = machine::among_others().await;
    let house = House::with_console().await;
    house.visitor("grace", "admin").await;
    let elsewhere = house.admin().create("/v1/organizations", &json!({"name": "elsewhere"})).await.unwrap();
    let other = foreign(&house, "serverless", "of another organization", elsewhere["id"].as_str().unwrap()).await;
    tell(&house, "grace", vec![other], OF_OPERATORS.to_vec()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_lives_it_too_and_sees_no_key_of_others() {
    let _shared = machine::among_others().await;
    let house = House::with_console().await;
    house.visitor("ada", "member").await;
    let others = vec![
        foreign(&house, "serverless", "a serverless key of the operator", &house.organization).await,
        foreign(&house, "dedicated", "a dedicated key of the operator", &house.organization).await,
    ];
    tell(&house, "ada", others, [OF_OPERATORS, OF_ADMINS].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_script_issues_and_deletes_a_key() {
    let _shared = machine::among_others().await;
    let house = House::with_console().await;
    house.visitor("ada", "member").await;
    house.browse("plain.py", json!({"name": "ada", "path": "/v1/models"})).await;
}
