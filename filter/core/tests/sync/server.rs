//! A control plane that answers polls, and remembers its state at every revision.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
use portcullis_core::limit::{Mode, Per, Policy, Rule, Unit};
use portcullis_core::wire::{ApiRecord, Ask, Body, Content, Epoch, Header, KeyRecord, Lease, Poll, Record};
use proptest::prelude::*;

pub const KEYS: u16 = 24;
pub const APIS: u64 = 3;
pub const ORGANIZATIONS: u64 = 2;

/// What is live at one revision: keys and APIs by number, each with the revision that it is of, and the organizations
/// that are over their budgets.
pub type State = (BTreeMap<u16, u64>, BTreeMap<u64, u64>, BTreeSet<u64>);

pub fn digest(key: u16) -> Digest {
    Digest::of(&key.to_be_bytes())
}

pub fn key_record(key: u16, issue: u64) -> KeyRecord {
    KeyRecord {
        id: KeyId::from_number(issue),
        digest: digest(key),
        kind: ApiKind::Serverless,
        organization: OrganizationId::from_number(1),
        user: UserId::from_number(issue % 3),
        expires_at_ms: None,
        apis: None,
        rate_limited: issue.is_multiple_of(2),
        over_budget: issue.is_multiple_of(5),
    }
}

/// The API with the prefix that it was given by the revision `issue`, and a policy that tells this from any other.
pub fn api_record(api: u64, issue: u64) -> ApiRecord {
    let rule = Rule { unit: Unit::Requests, limit: issue, window_seconds: 60, burst: issue, mode: Mode::Enforce };
    ApiRecord {
        id: ApiId::from_number(api),
        kind: ApiKind::Serverless,
        organization: None,
        hosts: Vec::new(),
        path_prefix: format!("/{api}/{issue}"),
        forward_credential: false,
        rate_limit: (!issue.is_multiple_of(3)).then(|| Policy { per: Per::User, rules: vec![rule] }),
        price_version: u32::try_from(issue).unwrap_or(u32::MAX),
        count_tokens: issue.is_multiple_of(2),
    }
}

/// A control plane that remembers its state at every revision.
pub struct Server {
    pub epoch: u64,
    history: Vec<State>,
    /// The revision of the snapshot that it has ready for newcomers, which may be an old one.
    pub rendered: u64,
    pub lease: Option<Lease>,
}

impl Server {
    pub fn new(epoch: u64) -> Self {
        Self { epoch, history: vec![State::default()], rendered: 0, lease: None }
    }

    pub fn revision(&self) -> u64 {
        self.history.len() as u64 - 1
    }

    pub fn state(&self) -> &State {
        self.history.last().unwrap()
    }

    pub fn write(&mut self, change: Change) {
        let (mut keys, mut apis, mut over_budget) = self.state().clone();
        let issue = self.revision() + 1;
        match change {
            Change::Issue(key) => drop(keys.insert(key, issue)),
            Change::Delete(key) => drop(keys.remove(&key)),
            Change::PutApi(api) => drop(apis.insert(api, issue)),
            Change::DeleteApi(api) => drop(apis.remove(&api)),
            Change::Stop(organization) => _ = over_budget.insert(organization),
            Change::Resume(organization) => _ = over_budget.remove(&organization),
        }
        self.history.push((keys, apis, over_budget));
    }

    /// Restored from a backup of its beginning, under a new epoch.
    pub fn restore(&mut self) {
        self.epoch += 1;
        self.history.truncate(1 + self.history.len() / 2);
        self.rendered = self.revision();
    }

    pub fn answer(&self, poll: Poll, now_ms: u64) -> Vec<u8> {
        let epoch = Epoch::from_number(self.epoch);
        let (content, records) = match poll.ask {
            Ask::After { cursor: at, .. } | Ask::CatchUp { at } if at.epoch == epoch => self.delta(at.revision),
            Ask::Part { at, part } if at.epoch == epoch => self.snapshot(at.revision, part),
            Ask::After { .. } | Ask::CatchUp { .. } | Ask::Part { .. } | Ask::Everything => {
                self.snapshot(self.rendered, 0)
            }
        };
        let mut body = Body::default();
        for record in records {
            assert!(body.push(&record).unwrap());
        }
        body.page(&Header { poll: poll.number, epoch, now_ms, content, lease: self.lease }).unwrap()
    }

    /// At most two revisions at once, so that catching up can take several deltas.
    fn delta(&self, from: u64) -> (Content, Vec<Record>) {
        let to = self.revision().min(from + 2);
        let more = to < self.revision();
        let (old, new) = (&self.history[from as usize], &self.history[to as usize]);
        let mut records = Vec::new();
        records.extend(old.0.keys().filter(|k| !new.0.contains_key(k)).map(|k| Record::DeleteKey(digest(*k))));
        let organizations = |ids: &[&u64]| ids.iter().map(|id| OrganizationId::from_number(**id)).collect::<Vec<_>>();
        let stopped = organizations(&new.2.difference(&old.2).collect::<Vec<_>>());
        records.extend(stopped.into_iter().map(Record::OverBudget));
        let gone = old.1.keys().filter(|api| !new.1.contains_key(api));
        records.extend(gone.map(|api| Record::DeleteApi(ApiId::from_number(*api))));
        let changed = new.1.iter().filter(|(api, issue)| old.1.get(api) != Some(issue));
        records.extend(changed.map(|(api, issue)| Record::Api(api_record(*api, *issue))));
        let changed = new.0.iter().filter(|(key, issue)| old.0.get(key) != Some(issue));
        records.extend(changed.map(|(key, issue)| Record::Key(key_record(*key, *issue))));
        let resumed = organizations(&old.2.difference(&new.2).collect::<Vec<_>>());
        records.extend(resumed.into_iter().map(Record::WithinBudget));
        (Content::Delta { from, to, more }, records)
    }

    /// Five records a part, so that even a small state has several.
    pub fn snapshot(&self, revision: u64, part: u32) -> (Content, Vec<Record>) {
        let (keys, apis, over_budget) = &self.history[revision as usize];
        let over_budget = over_budget.iter().map(|id| Record::OverBudget(OrganizationId::from_number(*id)));
        let mut records = over_budget.collect::<Vec<_>>();
        records.extend(apis.iter().map(|(api, issue)| Record::Api(api_record(*api, *issue))));
        records.extend(keys.iter().map(|(key, issue)| Record::Key(key_record(*key, *issue))));
        let parts = records.len().div_ceil(5).max(1) as u32;
        let records = records.into_iter().skip(5 * part as usize).take(5).collect();
        let keys = keys.len() as u32;
        (Content::Snapshot { revision, part, parts, keys }, records)
    }
}

#[derive(Debug, Clone)]
pub enum Change {
    Issue(u16),
    Delete(u16),
    PutApi(u64),
    DeleteApi(u64),
    Stop(u64),
    Resume(u64),
}

pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..KEYS).prop_map(Change::Issue),
        3 => (0..KEYS).prop_map(Change::Delete),
        1 => (0..APIS).prop_map(Change::PutApi),
        1 => (0..APIS).prop_map(Change::DeleteApi),
        1 => (0..ORGANIZATIONS).prop_map(Change::Stop),
        1 => (0..ORGANIZATIONS).prop_map(Change::Resume),
    ]
}
