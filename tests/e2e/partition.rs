//! The control plane away: what was known serves on, what is not known waits, and nothing passes unchecked.

use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::raw;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn with_the_control_plane_stopped_keys_go_on_working_and_changes_arrive_on_its_return() {
    let mut house = House::start().await;
    let kept = house.issue("serverless", json!({})).await;
    let deleted = house.issue("serverless", json!({})).await;
    house.wait_for("/v1/models", &kept.secret, 200).await;
    house.wait_for("/v1/models", &deleted.secret, 200).await;

    house.stop_control_plane().await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        assert_eq!(house.call("/v1/models", &kept.secret).await.status, 200);
        assert_eq!(house.call("/v1/models", "pc_sls_nonsense").await.status, 401);
    }

    house.start_control_plane().await;
    house.delete(&deleted.id).await;
    let took = house.wait_for("/v1/models", &deleted.secret, 401).await;
    println!("a delete after the control plane's return took {} ms", took.as_millis());
    assert_eq!(house.call("/v1/models", &kept.secret).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_without_a_key_set_answers_503_and_serves_once_it_has_one() {
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    house.stop_control_plane().await;
    house.start_envoy(2).await;

    let request = format!(
        "GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        key.secret
    );
    let start = Instant::now();
    let answer = raw::send(house.listener(), request.as_bytes()).await;
    let held = start.elapsed();
    assert_eq!((answer.status, answer.code().as_str()), (Some(503), "not_ready"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(held >= Duration::from_millis(1_900) && held < Duration::from_secs(4), "held for {held:?}");
    // Health checks do not wait for keys.
    assert_eq!(house.call("/healthz", "").await.status, 200);

    // A request that is being held when the key set arrives is served.
    let listener = house.listener();
    let held = tokio::spawn(async move { raw::send(listener, request.as_bytes()).await });
    house.start_control_plane().await;
    let answer = held.await.expect("an answer");
    assert_eq!(answer.status, Some(200), "{answer:?}");
    house.wait_for("/v1/models", &key.secret, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_requests_are_judged_like_all_others() {
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    house.stop_control_plane().await;
    house.start_envoy(1).await;
    let listener = house.listener();
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "hello"}]}).to_string();
    let send = |authorization: &str| {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: {authorization}\r\nx-portcullis-user: \
             forged\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len(),
        );
        tokio::spawn(async move { raw::send(listener, request.as_bytes()).await })
    };
    let good = send(&format!("Bearer {}", key.secret));
    let bad = send("Bearer nonsense");
    let gone = send(&format!("Bearer {}", key.secret));
    tokio::time::sleep(Duration::from_millis(200)).await;
    gone.abort();
    house.start_control_plane().await;
    let (good, bad) = (good.await.expect("an answer"), bad.await.expect("an answer"));
    assert_eq!(good.status, Some(200), "{good:?}");
    assert!(good.body.contains("hello"), "{good:?}");
    assert!(!good.header("x-echo-request-headers").is_some_and(|headers| headers.contains("forged")));
    assert_eq!((bad.status, bad.code().as_str()), (Some(401), "invalid_api_key"), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_many_held_requests_is_judged() {
    const HELD: usize = 600;
    let mut house = House::without_envoy().await;
    let key = house.issue("serverless", json!({})).await;
    house.stop_control_plane().await;
    // One worker, which cannot judge all of them at once.
    house.start_envoy(1).await;
    let listener = house.listener();
    let send = |number: usize| {
        let secret = if number.is_multiple_of(2) { &key.secret } else { "nonsense" };
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n\r\n"
        );
        tokio::spawn(async move { raw::send(listener, request.as_bytes()).await })
    };
    let held = (0..HELD).map(send).collect::<Vec<_>>();
    tokio::time::sleep(Duration::from_millis(500)).await;
    house.start_control_plane().await;
    let mut judged = 0;
    for (number, answer) in held.into_iter().enumerate() {
        let answer = answer.await.expect("an answer");
        let expected = if number.is_multiple_of(2) { 200 } else { 401 };
        // On a busy machine the time of some may be up.
        assert!([Some(expected), Some(503)].contains(&answer.status), "{number}: {answer:?}");
        judged += usize::from(answer.status == Some(expected));
    }
    println!("{judged} of {HELD} held requests were judged, the others waited too long");
    assert!(judged > 0);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let pauses_us = house.of_each_worker("longest_pause_microseconds").await;
    println!("longest pauses while {HELD} held requests were judged: {:?} µs", pauses_us.values());
}
