//! Rows 1 to 8 of the threat table, byte for byte: what no client library would send must not pass, and must not
//! take a worker down.

use portcullis_tests::house::{House, OPEN_PATH};
use portcullis_tests::raw::{Answer, Fields};
use portcullis_tests::{python, raw};
use serde_json::{Value, json};

/// What a request must get.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// The upstream's answer.
    Passes,
    /// The filter's refusal.
    Refused(u16, &'static str),
    /// A refusal by whoever sees it first: Envoy may answer 4xx, or close, before the filter is asked.
    NeverPasses,
    /// As before, or the upstream's answer, if none of the control characters has reached the upstream: Envoy's
    /// HTTP/1.1 parser leaves a lone CR out before any filter sees the header.
    NeverCopied,
}
use Expected::{NeverCopied, NeverPasses, Passes, Refused};

const INVALID_KEY: Expected = Refused(401, "invalid_api_key");
const MISSING_KEY: Expected = Refused(401, "missing_api_key");
const AMBIGUOUS: Expected = Refused(400, "invalid_request");
const INVALID_PATH: Expected = Refused(400, "invalid_path");
const UNKNOWN_API: Expected = Refused(404, "unknown_api");

struct Case {
    row: u8,
    name: String,
    fields: Fields,
    expected: Expected,
}

fn fields(method: &str, authority: &str, path: Option<&str>, more: &[(&str, &str)]) -> Fields {
    let pseudo = [
        (":method", Some(method)),
        (":scheme", path.map(|_| "http")),
        (":authority", Some(authority)),
        (":path", path),
    ];
    let pseudo = pseudo.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
    pseudo.chain(more.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn get(path: &str, more: &[(&str, &str)]) -> Fields {
    fields("GET", "models.example", Some(path), more)
}

fn with(authorization: &str) -> Fields {
    get("/v1/models", &[("authorization", authorization)])
}

#[rustfmt::skip]
fn credentials(bearer: &str, key: &str) -> Vec<Case> {
    let case = |row, name: &str, fields, expected| Case { row, name: name.to_owned(), fields, expected };
    let high = (0x80..=0xff_u8).map(char::from).collect::<String>();
    let huge = format!("Bearer {}", "k".repeat(65_536));
    let long = format!("Bearer {}", "k".repeat(8_192));
    let many = (0..1_000).map(|number| (format!("x-{number}"), "1".to_owned()));
    let mut thousand = with(bearer);
    thousand.extend(many);
    vec![
        case(1, "0x80-0xff as credential", with(&high), MISSING_KEY),
        case(1, "0x80-0xff as key", with(&format!("Bearer {high}")), INVALID_KEY),
        case(1, "0x80-0xff behind the key", with(&format!("{bearer}\u{ff}")), INVALID_KEY),
        case(1, "0x80-0xff elsewhere", get("/v1/models", &[("authorization", bearer), ("x-name", &high)]), Passes),
        case(2, "two headers", get("/v1/models", &[("authorization", bearer), ("authorization", bearer)]), AMBIGUOUS),
        // Envoy forgets an empty repetition before any filter sees it, so one credential is left.
        case(2, "two headers, one empty", get("/v1/models", &[("authorization", bearer), ("authorization", "")]), Passes),
        case(2, "joined", with(&format!("{bearer},{bearer}")), AMBIGUOUS),
        case(2, "two schemes", with(&format!("Basic dTpw, {bearer}")), AMBIGUOUS),
        case(3, "bEaReR", with(&bearer.replace("Bearer", "bEaReR")), Passes),
        case(3, "several spaces", with(&bearer.replace(' ', "    ")), Passes),
        case(3, "TAB", with(&bearer.replace(' ', "\t")), INVALID_KEY),
        case(3, "space and TAB", with(&bearer.replace(' ', " \t")), INVALID_KEY),
        case(3, "no space", with(&bearer.replace(' ', "")), MISSING_KEY),
        case(3, "no credential", with("Bearer"), MISSING_KEY),
        case(3, "empty", with(""), MISSING_KEY),
        case(3, "Basic", with("Basic dTpw"), MISSING_KEY),
        case(3, "the key without a scheme", with(key), MISSING_KEY),
        case(3, "two keys", with(&format!("{bearer} {key}")), INVALID_KEY),
        case(3, "quoted", with(&format!("Bearer \"{key}\"")), INVALID_KEY),
        case(4, "in the query", get(&format!("/v1/models?api_key={key}&key={key}"), &[]), MISSING_KEY),
        case(4, "in a cookie", get("/v1/models", &[("cookie", &format!("authorization={key}"))]), MISSING_KEY),
        case(4, "in another header", get("/v1/models", &[("x-api-key", key)]), MISSING_KEY),
        case(5, "NUL in the key", with(&format!("{bearer}\0")), NeverPasses),
        case(5, "NUL elsewhere", get("/v1/models", &[("authorization", bearer), ("x-name", "a\0b")]), NeverPasses),
        case(5, "CR elsewhere", get("/v1/models", &[("authorization", bearer), ("x-name", "a\rb")]), NeverCopied),
        case(5, "NUL in the path", get("/v1/mod\0els", &[("authorization", bearer)]), NeverPasses),
        case(6, "a key of 8 KB", with(&long), INVALID_KEY),
        case(6, "a key of 64 KB", with(&huge), NeverPasses),
        case(6, "1,000 headers", thousand, NeverPasses),
    ]
}

#[rustfmt::skip]
fn targets(bearer: &str) -> Vec<Case> {
    let case = |name: &str, fields, expected| Case { row: 8, name: name.to_owned(), fields, expected };
    let at = |path: &str| get(path, &[("authorization", bearer)]);
    let on = |authority: &str| fields("GET", authority, Some("/v1/models"), &[("authorization", bearer)]);
    let mut cases = vec![
        case("a plain path", at("/v1/models"), Passes),
        case("a query that looks like a path", at("/v1/models?x=/../%2f;//"), Passes),
        case("an authority with a port", on("models.example:80"), Passes),
        case("an IPv6 authority", on("[::1]:80"), Passes),
        case("a prefix cut inside a segment", at("/v10/models"), UNKNOWN_API),
        case("an asterisk", fields("OPTIONS", "models.example", Some("*"), &[("authorization", bearer)]), NeverPasses),
        case("CONNECT", fields("CONNECT", "models.example:80", None, &[("authorization", bearer)]), NeverPasses),
        case("user information", on("user@models.example"), NeverPasses),
        case("an authority with a path", on("models.example/v1"), NeverPasses),
        case("an empty authority", on(""), NeverPasses),
        case("a path without a slash", at("v1/models"), NeverPasses),
        case("a fragment", at("/v1/models#x"), NeverPasses),
        case("bytes from 0x80", at("/v1/\u{e9}"), NeverPasses),
    ];
    let unsafe_paths = [
        "/v1/../v1/models", "/v1/./models", "/v1/..", "/v1/.", "/v1//models", "//v1/models", "/v1/%2e%2e/models",
        "/v1/%2E/models", "/v1/.%2e/models", "/v1%2fmodels", "/v1/%2Fmodels", "/v1\\models", "/v1/%5cmodels",
        "/v1/%00models", "/v1/models;x", "/v1;x/models", "/v1/models/..;/", "/%76%31/models", "/v1/%zzmodels", "/v1/%2",
    ];
    cases.extend(unsafe_paths.map(|path| case(path, at(path), INVALID_PATH)));
    cases
}

fn assert_case(protocol: &str, case: &Case, answer: &Answer) {
    let what = format!("row {}, {} on {protocol}: {answer:?}", case.row, case.name);
    match case.expected {
        Passes => assert_eq!(answer.status, Some(200), "{what}"),
        Refused(status, code) => {
            assert_eq!(answer.status, Some(status), "{what}");
            assert_eq!(answer.code(), code, "{what}");
        }
        NeverCopied if answer.status == Some(200) => {
            let seen = answer.header("x-echo-request-headers").expect("what the upstream saw");
            assert!(seen.contains("[\"x-name\",\"ab\"]"), "{what}");
        }
        NeverPasses | NeverCopied => {
            assert!(answer.status.is_none_or(|status| (400..500).contains(&status)), "{what}");
            assert!(answer.header("x-echo-request-headers").is_none(), "reached the upstream: {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn impolite_requests_get_what_the_threat_table_says_on_both_protocols() {
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    let bearer = format!("Bearer {}", key.secret);
    let mut cases = credentials(&bearer, &key.secret);
    cases.extend(targets(&bearer));
    for case in &cases {
        let answer = raw::send(house.listener(), &raw::request(&case.fields)).await;
        assert_case("HTTP/1.1", case, &answer);
    }
    let requests = cases.iter().map(|case| case.fields.clone()).collect::<Vec<_>>();
    let answers = python::send_h2(house.listener(), &requests).await;
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(&answers) {
        assert_case("HTTP/2", case, answer);
    }
    // A worker that had trapped would have been loaded anew, and would say so.
    house.wait_for("/v1/models", &key.secret, 200).await;
    let url = format!("{}/stats?filter=vm_reload", house.envoy().admin_url());
    let reloads = house.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(reloads.lines().count() > 0 && reloads.lines().all(|line| line.ends_with(": 0")), "{reloads}");
    assert_no_secret_is_kept(&house, &key.secret).await;
}

/// Rows 4 and 11: no secret in a log, in Envoy's configuration dump, or in the database.
async fn assert_no_secret_is_kept(house: &House, secret: &str) {
    let dump = format!("{}/config_dump", house.envoy().admin_url());
    let dump = house.http.get(dump).send().await.unwrap().text().await.unwrap();
    assert!(dump.contains("portcullis") && !dump.contains(secret) && !dump.contains(house.gateway_token()));
    let mut folders = vec![house.folder().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let content = std::fs::read(&path).unwrap();
            for needle in [secret, house.gateway_token()] {
                let found = content.windows(needle.len()).any(|window| window == needle.as_bytes());
                assert!(!found, "a secret is in {}", path.display());
            }
        }
    }
    assert!(files >= 4, "the database, two logs and a configuration were looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_identity_headers_reach_no_upstream() {
    let house = House::start().await;
    let key = house.issue("serverless", json!({})).await;
    house.wait_for("/v1/models", &key.secret, 200).await;
    let bearer = format!("Bearer {}", key.secret);
    let forged = [
        ("x-portcullis-key-id", "forged"),
        ("x-portcullis-organization", "forged"),
        ("x-portcullis-user", "forged"),
        ("x-portcullis-api", "forged"),
        ("x-portcullis-user", "forged again"),
        ("x_portcullis_user", "forged"),
        ("x-portcullis-anything", "forged"),
    ];
    let mut allowed = vec![("authorization", bearer.as_str())];
    allowed.extend(forged);
    let requests = [get("/v1/echo", &allowed), get(OPEN_PATH, &forged)];
    let mut answers = python::send_h2(house.listener(), &requests).await;
    for request in &requests {
        answers.push(raw::send(house.listener(), &raw::request(request)).await);
        let shouted = request.iter().map(|(name, value)| {
            let name = if name.starts_with(':') { name.clone() } else { name.to_ascii_uppercase() };
            (name, value.clone())
        });
        answers.push(raw::send(house.listener(), &raw::request(&shouted.collect())).await);
    }
    for answer in answers {
        assert_eq!(answer.status, Some(200), "{answer:?}");
        let echo: Value = serde_json::from_str(&answer.body).expect("the echo");
        assert!(echo["headers"].as_array().is_some_and(|headers| headers.len() > 1), "{answer:?}");
        assert!(!answer.body.contains("forged"), "{answer:?}");
    }
}
