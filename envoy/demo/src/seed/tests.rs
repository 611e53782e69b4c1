//! Seeding against a stand-in for the admin API that keeps what is posted, one item to a page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path as UrlPath, Query, State};
use axum::http::StatusCode as Status;
use axum::routing::{delete, get};
use axum::{Json, Router};

use super::*;

type Store = Arc<Mutex<HashMap<String, Vec<Value>>>>;

async fn list(
    State(store): State<Store>,
    UrlPath(kind): UrlPath<String>,
    Query(query): Query<HashMap<String, usize>>,
) -> Json<Value> {
    let at = query.get("cursor").copied().unwrap_or(0);
    let store = store.lock().unwrap();
    let all = store.get(&kind).cloned().unwrap_or_default();
    let mut page: Vec<Value> = all.get(at).cloned().into_iter().collect();
    for item in &mut page {
        item.as_object_mut().unwrap().remove("token");
    }
    let next = (at + 1 < all.len()).then(|| (at + 1).to_string());
    Json(json!({"items": page, "next_cursor": next}))
}

async fn create(
    State(store): State<Store>,
    UrlPath(kind): UrlPath<String>,
    Json(mut body): Json<Value>,
) -> (Status, Json<Value>) {
    let mut store = store.lock().unwrap();
    let count = store.entry("count".to_owned()).or_default();
    count.push(Value::Null);
    body["id"] = format!("{kind}_{}", count.len()).into();
    if kind == "gateways" {
        body["token"] = format!("token_{}", count.len()).into();
    }
    let all = store.entry(kind).or_default();
    if all.iter().any(|item| body.get("match").is_some() && item["match"] == body["match"]) {
        return (Status::CONFLICT, Json(json!({"title": "taken"})));
    }
    all.push(body.clone());
    (Status::CREATED, Json(body))
}

async fn remove(State(store): State<Store>, UrlPath((kind, id)): UrlPath<(String, String)>) -> Json<Value> {
    store.lock().unwrap().entry(kind).or_default().retain(|item| item["id"] != *id);
    Json(json!({"id": id}))
}

async fn forget(
    State(store): State<Store>,
    UrlPath((id, worker)): UrlPath<(String, String)>,
) -> Result<Json<Value>, Status> {
    let mut store = store.lock().unwrap();
    let gateway = store.entry("gateways".to_owned()).or_default().iter_mut().find(|item| item["id"] == *id);
    let workers = gateway.ok_or(Status::NOT_FOUND)?["workers"].as_array_mut().unwrap();
    let place = workers.iter().position(|known| known["id"] == *worker).ok_or(Status::NOT_FOUND)?;
    Ok(Json(workers.remove(place)))
}

async fn stand_in() -> (AdminClient, Store) {
    let store = Store::default();
    let router = Router::new()
        .route("/v1/{kind}", get(list).post(create))
        .route("/v1/{kind}/{id}", delete(remove))
        .route("/v1/gateways/{id}/workers/{worker}", delete(forget))
        .with_state(store.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    (AdminClient::new(base, "operator".to_owned()), store)
}

#[tokio::test]
async fn a_second_seeding_changes_nothing() {
    let (admin, store) = stand_in().await;
    let directory = tempfile::tempdir().unwrap();
    let first = seed(&admin, directory.path()).await.unwrap();
    let after_first = store.lock().unwrap().clone();
    let second = seed(&admin, directory.path()).await.unwrap();
    assert_eq!(second.gateway_token, first.gateway_token);
    assert_eq!(second.organization, first.organization);
    assert_eq!(*store.lock().unwrap(), after_first);
    let apis = &after_first["apis"];
    assert_eq!(apis[0]["match"]["path_prefix"], "/v1");
    assert_eq!(apis[1]["organization"], first.organization);
}

#[tokio::test]
async fn a_lost_token_costs_a_new_gateway() {
    let (admin, store) = stand_in().await;
    let directory = tempfile::tempdir().unwrap();
    for lost in ["gateway-token", "gateway-id"] {
        let first = seed(&admin, directory.path()).await.unwrap();
        std::fs::remove_file(directory.path().join(lost)).unwrap();
        let second = seed(&admin, directory.path()).await.unwrap();
        assert_ne!(second.gateway_token, first.gateway_token);
        assert_eq!(store.lock().unwrap()["gateways"].len(), 1);
    }
}

#[tokio::test]
async fn a_token_of_another_database_is_not_used() {
    let (admin, store) = stand_in().await;
    let directory = tempfile::tempdir().unwrap();
    seed(&admin, directory.path()).await.unwrap();
    store.lock().unwrap().get_mut("gateways").unwrap()[0]["id"] = "gateways_other".into();
    let token = seed(&admin, directory.path()).await.unwrap().gateway_token;
    assert_eq!(store.lock().unwrap()["gateways"][0]["token"], token);
}

#[tokio::test]
async fn an_api_that_a_user_renamed_keeps_its_place() {
    let (admin, store) = stand_in().await;
    let directory = tempfile::tempdir().unwrap();
    seed(&admin, directory.path()).await.unwrap();
    store.lock().unwrap().get_mut("apis").unwrap()[0]["name"] = "chat".into();
    seed(&admin, directory.path()).await.unwrap();
    let names: Vec<Value> = store.lock().unwrap()["apis"].iter().map(|api| api["name"].clone()).collect();
    assert_eq!(names, ["chat", "private-echo"]);
}

#[tokio::test]
async fn nobody_need_wait_for_the_workers_of_an_earlier_run() {
    let (admin, store) = stand_in().await;
    let directory = tempfile::tempdir().unwrap();
    let first = seed(&admin, directory.path()).await.unwrap();
    store.lock().unwrap().get_mut("gateways").unwrap()[0]["workers"] = json!([{"id": "a"}, {"id": "b"}]);
    let second = seed(&admin, directory.path()).await.unwrap();
    assert_eq!(second.gateway_token, first.gateway_token);
    assert_eq!(store.lock().unwrap()["gateways"][0]["workers"], json!([]));
}

#[tokio::test]
async fn whoever_signs_in_has_a_password_that_is_kept_and_is_made_once() {
    let (admin, store) = stand_in().await;
    let directory = tempfile::tempdir().unwrap();
    seed(&admin, directory.path()).await.unwrap();
    let kept = secrets::read(&password_file(directory.path())).unwrap().unwrap();
    let users = store.lock().unwrap()["users"].clone();
    assert_eq!((&users[0]["name"], &users[0]["password"]), (&json!(ADMIN), &json!(kept)));
    // Another database gets the same one; a user who is there is left alone.
    store.lock().unwrap().remove("users");
    seed(&admin, directory.path()).await.unwrap();
    assert_eq!(store.lock().unwrap()["users"][0]["password"], json!(kept));
    std::fs::remove_file(password_file(directory.path())).unwrap();
    seed(&admin, directory.path()).await.unwrap();
    assert_eq!(store.lock().unwrap()["users"].len(), 1);
    assert!(!password_file(directory.path()).exists());
}
