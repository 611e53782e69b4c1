//! The control plane keeps what `/openapi.json` promises: schemathesis reads it and calls every operation with what it
//! allows and with what it forbids, alone and one after another.
//!
//! What it looks for, among others: a 5xx, a status or a header that is not documented, an answer of another shape than
//! its schema, a request that the schema forbids and that is granted all the same, an operation that can be called
//! without a token, a wrong answer to a method that a path does not take. `tests/clients/schemathesis.toml` says which
//! expectations do not fit.

#![allow(clippy::print_stdout, reason = "what was tried is for whoever reads the output of the test")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use portcullis_tests::house::{House, OPERATOR_TOKEN, program};
use serde_json::{Value, json};
use tokio::process::Command;

/// How long calls by themselves are tried, and sequences of them. Sequences are tried until the time has passed, so a
/// slow machine tries fewer.
const TIME_MAX: Duration = Duration::from_secs(35);
/// Calls by themselves.
const ALONE: &str = "examples,coverage,fuzzing";
/// Calls one after another, each with what the ones before were answered.
const IN_SEQUENCE: &str = "stateful";
/// How many requests of each sort are made up for each operation, besides those that the schemas call for.
const EXAMPLES_MAX: u32 = 8;

/// Tries every operation as the holder of `token`; panics with the report if a promise is broken. What was tried is
/// returned: for each operation and phase, how many requests of the right shape became what.
async fn assert_keeps_its_promises(house: &House, role: &str, token: &str, phases: &str) -> Value {
    let config = write_config(house);
    let tried = house.folder().join(format!("schemathesis-{role}-{phases}.json"));
    let run = Command::new(program("PORTCULLIS_PYTHON"))
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&config)
        .args(["run", &format!("{}/openapi.json", house.admin_url())])
        .args(["--phases", phases, "--no-color"])
        .args(["--max-examples", &EXAMPLES_MAX.to_string(), "--max-time", &TIME_MAX.as_secs().to_string()])
        .args(["--report", "json", "--report-json-path"])
        .arg(&tried)
        .env("PORTCULLIS_TOKEN", token)
        .current_dir(house.folder())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    // The report, and ending a last request, take a while longer.
    let output = tokio::time::timeout(TIME_MAX * 3, run).await.expect("schemathesis ends").expect("Python starts");
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{phases} as {role}: {}\n{report}\n{errors}", output.status);
    let summary = report.split("= SUMMARY =").last().unwrap_or(&report);
    println!("schemathesis, {phases}, as {role} {summary}");
    let tried = std::fs::read(tried).expect("a report");
    serde_json::from_slice::<Value>(&tried).expect("JSON")["valid_rates"].take()
}

/// The configuration, with the id of the house's organization, whose name may be changed by what is tried.
fn write_config(house: &House) -> PathBuf {
    let common = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/schemathesis.toml");
    let text = std::fs::read_to_string(common).expect("the configuration");
    let config = house.folder().join("schemathesis.toml");
    std::fs::write(&config, text.replace("ORGANIZATION_ID", &house.organization)).expect("a file");
    config
}

/// The houses have no Envoy, and so no worker that could be gone.
const NO_WORKER: &str = "DELETE /v1/gateways/{id}/workers/{worker}";

/// Checks that every operation was called with something that it granted, or that only something else stood in the way
/// of: a test that gets nowhere finds nothing.
fn assert_got_everywhere(runs: &[Value]) {
    let operations = runs[0].as_object().expect("operations");
    assert!(operations.len() >= 38, "{operations:#?}");
    let granted = |operation: &&String| {
        let phases = runs.iter().filter_map(|run| run[operation.as_str()].as_object()).flat_map(|run| run.values());
        let granted = phases.flat_map(|phase| [phase["accepted"].as_u64(), phase["conflicts"].as_u64()]);
        granted.flatten().sum::<u64>() > 0
    };
    let possible = operations.keys().filter(|operation| *operation != NO_WORKER);
    let never: Vec<&String> = possible.filter(|operation| !granted(operation)).collect();
    assert!(never.is_empty(), "never granted: {never:?}\n{runs:#?}");
}

/// A house in which there is something of every sort to find, change and delete.
async fn furnished_house() -> House {
    let house = House::without_envoy().await;
    for name in ["notebook", "batch jobs"] {
        house.issue("serverless", json!({"name": name})).await;
    }
    let service = house.issue("dedicated", json!({"apis": ["private-echo"], "rate_limit_enabled": true})).await;
    house.reissue(&service.id).await;
    let old = house.issue("serverless", json!({"name": "old", "expires_at": "2100-01-01T00:00:00Z"})).await;
    house.delete(&old.id).await;
    // The examples in the description sign in as this one.
    let ada = json!({"name": "ada", "role": "admin", "organization": "acme", "password": "correct horse battery"});
    house.admin().create("/v1/users", &ada).await.expect("a user");
    house
}

/// Tries what someone of `acme` with this role is promised. They have another token for the sequences, as some of what
/// is tried before ends the one that it is tried with.
async fn assert_promises_to(role: &str) {
    let house = furnished_house().await;
    let mut runs = Vec::new();
    for phases in [ALONE, IN_SEQUENCE] {
        runs.push((phases, house.signed_in("acme", &format!("{role} {phases}"), role).await));
    }
    for (phases, token) in runs {
        assert_keeps_its_promises(&house, role, &token, phases).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_what_the_description_promises() {
    let house = furnished_house().await;
    let alone = assert_keeps_its_promises(&house, "operator", OPERATOR_TOKEN, ALONE).await;
    let in_sequence = assert_keeps_its_promises(&house, "operator", OPERATOR_TOKEN, IN_SEQUENCE).await;
    assert_got_everywhere(&[alone, in_sequence]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_gets_what_the_description_promises() {
    assert_promises_to("admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_gets_what_the_description_promises() {
    assert_promises_to("member").await;
}
