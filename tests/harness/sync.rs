//! The sync port, asked as a worker asks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use portcullis_core::digest::Digest;
use portcullis_core::id::KeyId;
use portcullis_core::wire::{Ask, CHANGES_PATH, Content, Cursor, PAGE_BYTES_MAX, Page, Poll, Record};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::house::House;

/// How long workers may take to have applied everything.
const PATIENCE: Duration = Duration::from_secs(10);

impl House {
    /// One poll with a gateway's token.
    pub async fn poll(&self, token: &str, poll: Poll) -> Response {
        let url = format!("{}{CHANGES_PATH}?{poll}", self.sync_url());
        self.http.get(url).bearer_auth(token).send().await.expect("an answer from the sync port")
    }

    /// Every page of a snapshot, for the house's gateway.
    pub async fn snapshot_pages(&self) -> Vec<Page> {
        let mut pages: Vec<Page> = Vec::new();
        let mut poll = Poll { number: 1, ask: Ask::Everything };
        loop {
            let response = self.poll(self.gateway_token(), poll).await;
            assert_eq!(response.status(), StatusCode::OK, "{}", response.text().await.unwrap_or_default());
            let bytes = response.bytes().await.expect("a page");
            assert!(bytes.len() <= PAGE_BYTES_MAX, "a page of {} bytes", bytes.len());
            let page = Page::parse(&bytes).expect("a page");
            let Content::Snapshot { revision, part, parts, .. } = page.header.content else {
                panic!("no snapshot: {:?}", page.header);
            };
            if part == 0 {
                // Also where the snapshot that was begun is no longer there, and another one is offered.
                pages.clear();
            }
            assert_eq!(usize::try_from(part).ok(), Some(pages.len()));
            let at = Cursor { epoch: page.header.epoch, revision };
            poll = Poll { number: poll.number + 1, ask: Ask::Part { at, part: part + 1 } };
            pages.push(page);
            if part + 1 == parts {
                return pages;
            }
        }
    }

    /// Every live secret that the house's gateway is told of, and where history stood: a snapshot, and what has come
    /// since it was made.
    pub async fn live_secrets(&self) -> (Cursor, HashMap<KeyId, Vec<Digest>>) {
        let pages = self.snapshot_pages().await;
        let Some(Content::Snapshot { revision, .. }) = pages.first().map(|page| page.header.content) else {
            panic!("no snapshot");
        };
        let mut at = Cursor { epoch: pages[0].header.epoch, revision };
        let mut live: HashMap<KeyId, Vec<Digest>> = HashMap::new();
        pages.into_iter().for_each(|page| apply(&mut live, page.records));
        loop {
            let response = self.poll(self.gateway_token(), Poll { number: 0, ask: Ask::CatchUp { at } }).await;
            let page = Page::parse(&response.bytes().await.expect("a page")).expect("a page");
            let Content::Delta { from, to, more } = page.header.content else {
                panic!("no delta: {:?}", page.header);
            };
            assert!(from == at.revision && to >= from, "a delta from {from} to {to} for one at {}", at.revision);
            at.revision = to;
            apply(&mut live, page.records);
            if !more {
                return (at, live);
            }
        }
    }

    /// The workers of the house's Envoy, which has two threads, as its control plane lists them once they have applied
    /// all that was ever written. That a worker has done so is known by its next poll, a moment later.
    pub async fn workers_at_head(&self) -> Vec<Value> {
        self.workers_at_head_within(PATIENCE).await
    }

    /// The same, with another patience: an Envoy that was just started takes a while.
    pub async fn workers_at_head_within(&self, patience: Duration) -> Vec<Value> {
        // One for each thread, and one for the main thread.
        self.caught_up(3, patience).await
    }

    /// So many workers, which are all that there are, once each is at the newest revision.
    pub async fn caught_up(&self, count: usize, patience: Duration) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let gateway = self.admin().get(&format!("/v1/gateways/{}", self.gateway)).await;
            let gateway = gateway.unwrap_or_else(|error| panic!("{error}"));
            let workers = gateway["workers"].as_array().expect("workers");
            if workers.len() == count && workers.iter().all(|worker| worker["lag"] == 0) {
                return workers.clone();
            }
            assert!(start.elapsed() < patience, "{workers:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn apply(live: &mut HashMap<KeyId, Vec<Digest>>, records: Vec<Record>) {
    for record in records {
        match record {
            Record::DeleteKey(digest) => live.values_mut().for_each(|digests| digests.retain(|each| *each != digest)),
            Record::Key(key) => {
                let digests = live.entry(key.id).or_default();
                if !digests.contains(&key.digest) {
                    digests.push(key.digest);
                }
            }
            Record::Api(_) | Record::DeleteApi(_) | Record::OverBudget(_) | Record::WithinBudget(_) => {}
        }
    }
    live.retain(|_, digests| !digests.is_empty());
}
