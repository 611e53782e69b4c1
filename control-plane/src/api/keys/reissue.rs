//! `POST /v1/keys/{id}/reissue`: a new secret for a key.
//!
//! The key keeps its id, name, scopes and expiry; the old secret is dead in the same revision in which the new
//! one comes to life. For a planned rotation `overlap_seconds` lets the old one work on for a while; of two reissues
//! in that time only the last one's overlap counts. A key that has expired needs a new expiry with it.
//!
//! A retry with the same `Idempotency-Key` gives the key another secret in place of the one that got lost on its
//! way, and leaves an overlap as the first attempt began it.

use axum::extract::State;
use axum::response::Response;
use portcullis_core::id::Key as KeyMark;
use portcullis_core::key::Kind;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EXPIRY_PAST, KeyView, REVOKED, handled, issued, parse_expiry};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::extract::{Field, MaybeJsonBody, PathId, QueryOf};
use crate::api::idempotency::{Idempotency, IdempotencyHeader, replayed};
use crate::api::propagation::{WaitQuery, Written};
use crate::api::refusals::{Always, BadBody, BadQuery, Conflict, NotFound, WriteError};
use crate::domain::fault::Faults;
use crate::domain::timestamp::Timestamp;
use crate::storage::Handover;

/// The longest overlap: seven days.
const OVERLAP_SECONDS_MAX: u32 = 7 * 24 * 60 * 60;

/// What to change with the secret. It may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReissueRequest {
    /// A new expiry; null for none. What it was before if this is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Field<String>,
    /// For how long the old secret works on beside the new one. 0, which ends it at once, if this is left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 604_800, example = 3_600)]
    overlap_seconds: u32,
}

/// Gives a key a new secret. The old one is dead at once, unless an overlap is asked for.
#[utoipa::path(
    post, path = "/v1/keys/{id}/reissue", tag = "keys", request_body = Option<ReissueRequest>,
    params(("id" = String, Path, description = "The key's id"), IdempotencyHeader, WaitQuery),
    responses(
        (status = 201, body = Written<super::IssuedKey>, description = "The key with its new secret",
         headers(("Location" = String, description = "Where the key is found"),
                 ("Idempotency-Replayed" = Option<String>, description = "`true` for a retry"))),
        Always, NotFound, BadQuery, BadBody, Conflict,
    )
)]
pub async fn reissue(
    State(app): State<App>,
    Caller(actor): Caller,
    PathId(id): PathId<KeyMark>,
    idempotency: Idempotency,
    QueryOf(query): QueryOf<WaitQuery>,
    body: MaybeJsonBody<ReissueRequest>,
) -> Result<Response, WriteError> {
    let (expires_at, overlap_seconds) = parse(body.value)?;
    let mut write = app.store.write(Some(actor)).await?;
    let now = write.now();
    let before = handled(&mut write.view(), id, actor).await?;
    if before.revoked_at.is_some() {
        return Err(WriteError::Conflict(REVOKED.to_owned()));
    }
    let secret = app.store.entropy().key(&app.brand, Kind::Api(before.kind))?;
    if let Some(earlier) = idempotency.earlier::<KeyMark>(&mut write, actor, body.digest).await? {
        earlier.check(before.digest)?;
        let key = write.reissue_key(&before, before.expires_at, Handover::Retry, &secret).await?;
        idempotency.remember(&mut write, actor, body.digest, key.id, Some(key.digest)).await?;
        let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
        return Ok(replayed(issued(secret, KeyView::new(key, now), propagation)));
    }
    let given = expires_at != Field::Absent;
    let expires_at = expires_at.or_keep(before.expires_at);
    if expires_at.is_some_and(|end| end <= now) {
        let detail = if given { EXPIRY_PAST } else { "this key has expired: give it a new expiry" };
        return Err(Faults::one("/expires_at", detail).into());
    }
    let key = write.reissue_key(&before, expires_at, handover(overlap_seconds, now), &secret).await?;
    idempotency.remember(&mut write, actor, body.digest, key.id, Some(key.digest)).await?;
    let propagation = app.receipt(write.commit().await?, query.wait_ms).await;
    Ok(issued(secret, KeyView::new(key, now), propagation))
}

fn parse(request: ReissueRequest) -> Result<(Field<Timestamp>, u32), Faults> {
    let mut faults = Faults::default();
    let expires_at = faults.take("/expires_at", request.expires_at.try_map(|text| parse_expiry(&text)));
    if request.overlap_seconds > OVERLAP_SECONDS_MAX {
        faults.add("/overlap_seconds", format!("at most {OVERLAP_SECONDS_MAX}, which is seven days"));
    }
    faults.check()?;
    Ok((expires_at.unwrap_or_default(), request.overlap_seconds))
}

/// What becomes of the old secret. An overlap ends at a whole second, as keys do.
fn handover(overlap_seconds: u32, now: Timestamp) -> Handover {
    if overlap_seconds == 0 {
        return Handover::AtOnce;
    }
    let end_seconds = now.unix_ms().div_ceil(1_000) + u64::from(overlap_seconds);
    Handover::Overlap(Timestamp::from_unix_ms(end_seconds * 1_000))
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Harness, START_MS, text, without_receipt};
    use crate::domain::gateway::Serves;
    use portcullis_core::digest::Digest;
    use portcullis_core::wire::{Content, Epoch, Header, Page, Record};
    use serde_json::{Value, json};
    use std::time::Duration;

    async fn issue(harness: &Harness) -> (Value, String) {
        let body = json!({"kind": "serverless", "name": "k", "expires_at": "2027-01-01T00:00:10Z"});
        let key = harness.post("/v1/keys", body).await.expect(201);
        let path = format!("/v1/keys/{}/reissue", text(&key, "id"));
        (key, path)
    }

    #[tokio::test]
    async fn a_reissued_key_keeps_all_but_its_secret_and_the_old_one_dies_in_the_same_revision() {
        let harness = Harness::furnished().await;
        let (before, path) = issue(&harness).await;
        let revision = harness.revision();
        let mut after = harness.call("POST", &path).send().await.expect(201);
        assert_ne!(after["key"], before["key"]);
        let (old, new) = (text(&before, "key").to_owned(), text(&after, "key").to_owned());
        for field in ["key", "masked"] {
            after[field] = before[field].clone();
        }
        assert_eq!(after["propagation"]["revision"], revision + 1);
        assert_eq!(without_receipt(after), without_receipt(before));
        assert_eq!(harness.revision(), revision + 1);
        let crate::storage::Delta::Page { to, more, body } =
            harness.store.delta(revision, revision + 1, &Serves::Everything).await.unwrap()
        else {
            panic!("too far");
        };
        let content = Content::Delta { from: revision, to, more };
        let header = Header { poll: 0, epoch: Epoch::from_number(0), now_ms: 0, content, lease: None };
        let page = Page::parse(&body.page(&header).unwrap()).unwrap();
        let [Record::DeleteKey(deleted), Record::Key(put)] = page.records.as_slice() else {
            panic!("{page:?}");
        };
        assert_eq!((*deleted, put.digest), (Digest::of(old.as_bytes()), Digest::of(new.as_bytes())));
    }

    #[tokio::test]
    async fn an_expiry_can_come_with_it_and_must_if_the_key_has_expired() {
        let harness = Harness::furnished().await;
        let (_, path) = issue(&harness).await;
        harness.advance(Duration::from_secs(10));
        assert_eq!(harness.post(&path, json!({})).await.pointers(), ["/expires_at"]);
        let past = json!({"expires_at": "2027-01-01T00:00:10Z"});
        assert_eq!(harness.post(&path, past).await.pointers(), ["/expires_at"]);
        assert_eq!(harness.post(&path, json!({"expires_at": "soon"})).await.pointers(), ["/expires_at"]);
        let given = harness.post(&path, json!({"expires_at": "2027-02-01T00:00:00Z"})).await.expect(201);
        assert_eq!((text(&given, "status"), text(&given, "expires_at")), ("active", "2027-02-01T00:00:00Z"));
        let cleared = harness.post(&path, json!({"expires_at": null})).await.expect(201);
        assert_eq!(cleared["expires_at"], Value::Null);
    }

    #[tokio::test]
    async fn other_requests_are_refused_and_change_nothing() {
        let harness = Harness::furnished().await;
        let (key, path) = issue(&harness).await;
        let before = harness.fingerprint().await;
        assert_eq!(harness.post(&path, json!({"name": "x"})).await.pointers(), ["/name"]);
        harness.call("POST", &path).body("text/plain", "{}").send().await.expect(415);
        harness.post("/v1/keys/key_0000000000000/reissue", json!({})).await.expect(404);
        harness.assert_guarded("POST", &path).await;
        assert_eq!(harness.fingerprint().await, before);
        harness.delete(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200);
        harness.post(&path, json!({})).await.expect(409);
    }

    /// What filters are told from nothing: the digest of each live secret, with its expiry.
    async fn told(harness: &Harness) -> Vec<(Digest, Option<u64>)> {
        let snapshot = harness.store.snapshot(&Serves::Everything).await.unwrap();
        let content = Content::Snapshot { revision: snapshot.at.revision, part: 0, parts: 1, keys: snapshot.keys };
        let header = Header { poll: 0, epoch: Epoch::from_number(0), now_ms: 0, content, lease: None };
        let page = Page::parse(&snapshot.pages[0].page(&header).unwrap()).unwrap();
        let keys = page.records.into_iter().filter_map(|record| match record {
            Record::Key(key) => Some((key.digest, key.expires_at_ms)),
            Record::Api(_)
            | Record::DeleteKey(_)
            | Record::DeleteApi(_)
            | Record::OverBudget(_)
            | Record::WithinBudget(_) => None,
        });
        keys.collect()
    }

    fn digest_of(answer: &Value) -> Digest {
        Digest::of(text(answer, "key").as_bytes())
    }

    #[tokio::test]
    async fn with_an_overlap_both_secrets_work_until_it_ends_or_the_key_does() {
        let harness = Harness::furnished().await;
        let (first, path) = issue(&harness).await;
        let second = harness.post(&path, json!({"overlap_seconds": 3})).await.expect(201);
        assert_eq!(text(&second, "overlap_ends_at"), "2027-01-01T00:00:03Z");
        let (key_end, overlap_end) = (Some(START_MS + 10_000), Some(START_MS + 3_000));
        assert_eq!(told(&harness).await, [(digest_of(&second), key_end), (digest_of(&first), overlap_end)]);
        // A longer overlap than the key has left ends with the key; the one before it ends at once.
        let third = harness.post(&path, json!({"overlap_seconds": 60})).await.expect(201);
        assert_eq!(told(&harness).await, [(digest_of(&third), key_end), (digest_of(&second), key_end)]);
        harness.advance(Duration::from_secs(60));
        let shown = harness.get(&format!("/v1/keys/{}", text(&first, "id"))).await.expect(200);
        assert_eq!(shown["overlap_ends_at"], Value::Null);
        let mut write = harness.store.write(None).await.unwrap();
        assert_eq!(write.end_overlaps().await.unwrap(), 1);
        write.commit().await.unwrap();
        assert_eq!(told(&harness).await, [(digest_of(&third), key_end)]);
    }

    #[tokio::test]
    async fn deleting_a_key_in_an_overlap_ends_both_secrets() {
        let harness = Harness::furnished().await;
        let (key, path) = issue(&harness).await;
        harness.post(&path, json!({"overlap_seconds": 60})).await.expect(201);
        harness.delete(&format!("/v1/keys/{}", text(&key, "id"))).await.expect(200);
        assert!(told(&harness).await.is_empty());
    }

    #[tokio::test]
    async fn a_retry_replaces_the_secret_that_got_lost_and_leaves_the_overlap() {
        let harness = Harness::furnished().await;
        let (first, path) = issue(&harness).await;
        let body = json!({"overlap_seconds": 3});
        let attempt = || harness.call("POST", &path).header("idempotency-key", "a").json(&body).send();
        let lost = attempt().await;
        assert!(lost.headers.get("idempotency-replayed").is_none());
        lost.expect(201);
        let again = attempt().await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let again = again.expect(201);
        let digests = told(&harness).await.into_iter().map(|(digest, _)| digest).collect::<Vec<_>>();
        assert_eq!(digests, [digest_of(&again), digest_of(&first)]);
        let other = harness.call("POST", &path).header("idempotency-key", "a").json(&json!({})).send().await;
        other.expect(422);
        // Somebody else has reissued it in the meantime: theirs stays.
        harness.post(&path, json!({})).await.expect(201);
        let before = harness.fingerprint().await;
        attempt().await.expect(409);
        assert_eq!(harness.fingerprint().await, before);
    }

    #[tokio::test]
    async fn an_overlap_has_a_length() {
        let harness = Harness::furnished().await;
        let (_, path) = issue(&harness).await;
        let before = harness.fingerprint().await;
        for seconds in [json!(604_801), json!(-1), json!("1"), json!(1.5)] {
            let refused = harness.post(&path, json!({"overlap_seconds": seconds})).await;
            assert_eq!(refused.pointers(), ["/overlap_seconds"]);
        }
        assert_eq!(harness.fingerprint().await, before);
    }
}
