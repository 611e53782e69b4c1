//! Responses in every form that states tokens, or does not, cut in two at every byte: what is counted is what they say.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_tests::house::House;
use portcullis_tests::keys::IssuedKey;
use portcullis_tests::machine::{alone, among_others};
use portcullis_tests::measure::quantiles;
use portcullis_tests::pieces::{Canned, Pieces};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How many connections call at once.
const AT_ONCE: usize = 32;
/// How many streams are timed with and without counting.
const TIMED: usize = 150;

/// An answer, and what one of it counts for.
struct Form {
    name: &'static str,
    canned: Canned,
    prompt: u64,
    completion: u64,
    estimated: u64,
    unknown: u64,
}

fn form(name: &'static str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Form {
    let canned = Canned { status: 200, headers: vec![("content-type", content_type)], body: body.into() };
    Form { name, canned, prompt: 0, completion: 0, estimated: 0, unknown: 0 }
}

fn document() -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "echo",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant",
            "content": "say \"usage\": {\"prompt_tokens\": 1}, \u{e9}\u{1f511} \\"}}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 7, "total_tokens": 26},
    })
    .to_string()
}

/// A stream of three words, with or without its usage.
fn stream(usage: Option<&str>) -> String {
    let mut text = String::new();
    for word in ["", "hello ", "you"] {
        let chunk = json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]});
        write!(text, "data: {chunk}\n\n").expect("a text");
    }
    if let Some(usage) = usage {
        write!(text, "data: {{\"choices\":[],\"usage\":{usage}}}\n\n").expect("a text");
    }
    text + "data: [DONE]\n\n"
}

/// `document()`, compressed by gzip, which needs no dictionary: one stored block (RFC 1951, section 3.2.4).
fn compressed() -> Vec<u8> {
    let text = document().into_bytes();
    let length = u16::try_from(text.len()).expect("a short document");
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    [&head[..], &length.to_le_bytes(), &(!length).to_le_bytes(), &text, &[0; 8]].concat()
}

fn forms() -> Vec<Form> {
    let usage = r#"{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}"#;
    let mut gzip = form("gzip", "application/json", compressed());
    gzip.canned.headers.push(("content-encoding", "gzip"));
    let mut failed = form("failed", "application/json", r#"{"error":{"message":"busy"}}"#);
    failed.canned.status = 503;
    vec![
        Form { prompt: 19, completion: 7, ..form("document", "application/json", document()) },
        Form { prompt: 11, completion: 3, ..form("stream", "text/event-stream", stream(Some(usage))) },
        Form { completion: 3, estimated: 1, ..form("silent", "text/event-stream", stream(None)) },
        Form { prompt: 8, ..form("embeddings", "application/json", r#"{"data":[],"usage":{"total_tokens":8}}"#) },
        Form { unknown: 1, ..form("mute", "application/json", r#"{"choices":[]}"#) },
        Form { unknown: 1, ..gzip },
        form("text", "text/plain", r#"{"usage":{"total_tokens":8}}"#),
        failed,
    ]
}

struct Scene {
    house: House,
    upstream: Pieces,
    key: IssuedKey,
    apis: Vec<String>,
}

/// An API for each answer, at the path with its number.
async fn scene(answers: Vec<Canned>) -> Scene {
    let mut house = House::without_envoy().await;
    let (count, upstream) = (answers.len(), Pieces::with(answers).await);
    house.set_upstream(upstream.address());
    house.start_envoy(2).await;
    let mut apis = Vec::new();
    for number in 0..count {
        let path = format!("/v1/answers/{number}");
        let api = json!({"name": format!("answer {number}"), "kind": "serverless", "match": {"path_prefix": path}});
        let answer = house.admin().create("/v1/apis", &api).await.unwrap_or_else(|error| panic!("{error}"));
        apis.push(answer["id"].as_str().expect("an id").to_owned());
    }
    let key = house.issue("serverless", json!({})).await;
    house.worker_names().await;
    Scene { house, upstream, key, apis }
}

fn request(secret: &str, target: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\naccept-encoding: gzip, br\r\n\
         content-length: 5\r\nconnection: close\r\n\r\nhello"
    )
}

/// All of an answer, as it came.
async fn ask(house: &House, secret: &str, target: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(house.listener()).await.expect("a connection");
    stream.write_all(request(secret, target).as_bytes()).await.expect("a request is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    answer
}

/// Gets each answer cut at every byte. How often each was got.
async fn cut_everywhere(scene: &Arc<Scene>, forms: &[Form]) -> Vec<u64> {
    let cuts = |number: usize| 0..=forms[number].canned.body.len();
    let targets = (0..forms.len())
        .flat_map(|number| cuts(number).map(move |cut| format!("/v1/answers/{number}?cut={cut}")))
        .collect::<Vec<_>>();
    let mut callers = JoinSet::new();
    for share in targets.chunks(targets.len().div_ceil(AT_ONCE)) {
        let (scene, share) = (Arc::clone(scene), share.to_vec());
        callers.spawn(async move {
            for target in share {
                let answer = ask(&scene.house, &scene.key.secret, &target).await;
                assert!(answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.1 503"), "{target}");
            }
        });
    }
    callers.join_all().await;
    (0..forms.len()).map(|number| u64::try_from(cuts(number).count()).expect("a count")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_what_a_response_says_wherever_it_is_cut() {
    let _among_others = among_others().await;
    let forms = forms();
    let scene = Arc::new(scene(forms.iter().map(|form| form.canned.clone()).collect()).await);
    let start = Instant::now();
    let times = cut_everywhere(&scene, &forms).await;
    let total = times.iter().sum::<u64>();
    println!("{total} responses, cut at every byte, in {:?}", start.elapsed());

    let house = &scene.house;
    let items = house
        .wait_for_usage("all are counted", || async {
            let usage = house.usage("group_by=api").await;
            let counted = usage["total"]["requests"].as_u64().unwrap_or_default();
            assert!(counted <= total, "{usage}");
            if counted == total {
                Ok(usage["items"].as_array().expect("items").clone())
            } else {
                Err(usage.to_string())
            }
        })
        .await;
    for ((form, api), times) in forms.iter().zip(&scene.apis).zip(times) {
        let item = items.iter().find(|item| item["api"] == json!(api)).unwrap_or_else(|| panic!("no {}", form.name));
        let expected = json!({
            "requests": times, "calls": times, "request_bytes": 5 * times,
            "response_bytes": u64::try_from(form.canned.body.len()).expect("a length") * times,
            "prompt_tokens": form.prompt * times, "completion_tokens": form.completion * times,
            "total_tokens": (form.prompt + form.completion) * times,
            "estimated": form.estimated * times, "unknown": form.unknown * times,
        });
        for (field, value) in expected.as_object().expect("fields") {
            assert_eq!(&item[field], value, "{field} of {}: {item}", form.name);
        }
        let class = if form.canned.status == 200 { "2xx" } else { "5xx" };
        assert_eq!(item["outcomes"], json!({class: times}), "{}", form.name);
    }
    // Compressed answers could not be read, so the upstream is asked not to compress.
    assert!(scene.upstream.encodings().iter().all(|encoding| encoding.as_deref() == Some("identity")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_whose_tokens_are_not_counted_is_left_alone() {
    let _among_others = among_others().await;
    let document = form("document", "application/json", document()).canned;
    let scene = scene(vec![document]).await;
    let change = json!({"count_tokens": false});
    scene.house.admin().change(&format!("/v1/apis/{}", scene.apis[0]), &change).await.expect("a change");
    ask(&scene.house, &scene.key.secret, "/v1/answers/0?cut=9").await;
    let house = &scene.house;
    let total = house
        .wait_for_usage("it is counted", || async {
            let total = house.usage("").await["total"].clone();
            if total["requests"] == json!(1) { Ok(total) } else { Err(total.to_string()) }
        })
        .await;
    assert_eq!((&total["total_tokens"], &total["unknown"]), (&json!(0), &json!(0)), "{total}");
    assert_eq!(scene.upstream.encodings(), [Some("gzip, br".to_owned())]);
}

/// Reads until this has come.
async fn read_until(stream: &mut TcpStream, received: &mut Vec<u8>, text: &[u8]) {
    while !received.windows(text.len()).any(|window| window == text) {
        let size = stream.read_buf(received).await.expect("an answer");
        assert!(size > 0, "the answer ended: {}", String::from_utf8_lossy(received));
    }
}

/// Asks for a stream that its upstream holds after its first event; how long that event took.
async fn first_event(scene: &Scene, target: &str) -> Duration {
    let mut stream = TcpStream::connect(scene.house.listener()).await.expect("a connection");
    let (start, mut received) = (Instant::now(), Vec::new());
    stream.write_all(request(&scene.key.secret, target).as_bytes()).await.expect("a request is sent");
    // The rest is not even sent before this has come.
    read_until(&mut stream, &mut received, b"hello ").await;
    let took = start.elapsed();
    scene.upstream.go_on();
    read_until(&mut stream, &mut received, b"[DONE]").await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_holds_no_event_of_a_stream() {
    let _alone = alone().await;
    let usage = r#"{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}"#;
    let canned = form("stream", "text/event-stream", stream(Some(usage))).canned;
    let hold = canned.body.windows(6).position(|window| window == b"hello ").expect("an event") + 60;
    let scene = scene(vec![canned.clone(), canned]).await;
    let change = json!({"count_tokens": false});
    scene.house.admin().change(&format!("/v1/apis/{}", scene.apis[1]), &change).await.expect("a change");
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..2 * TIMED {
        let number = round % 2;
        took[number].push(first_event(&scene, &format!("/v1/answers/{number}?hold={hold}")).await);
    }
    let [counted, uncounted] = took;
    println!("to the first event, tokens counted: {}; not counted: {}", quantiles(&counted), quantiles(&uncounted));
    let stated = Value::from(14 * TIMED);
    let house = &scene.house;
    house
        .wait_for_usage("the tokens of half of them are counted", || async {
            let total = house.usage("").await["total"].clone();
            if total["total_tokens"] == stated { Ok(()) } else { Err(total.to_string()) }
        })
        .await;
}
