//! A database in memory: what is live, the change log, the control row and the stored workers, and transactions that
//! are done at one instant each.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use portcullis_core::api::{self, Access};
use portcullis_core::digest::{DIGEST_BYTES, Digest};
use portcullis_core::id::{ApiId, GatewayId, OrganizationId};
use portcullis_core::push::delta::{Change, Delta, Gathering, Room, Subject};
use portcullis_core::push::reach::{Reach, Scope};
use portcullis_core::wire::{ApiRecord, Body, Epoch, KeyRecord, Record, Revision};

use crate::stored::Row;

/// The digest of a secret, as something to sort by.
pub type Secret = [u8; DIGEST_BYTES];

/// Which APIs a gateway serves: all, or these.
pub type Serves = Option<Rc<BTreeSet<ApiId>>>;

/// What is live at one revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The live secrets.
    pub keys: BTreeMap<Secret, Rc<KeyRecord>>,
    /// The APIs.
    pub apis: BTreeMap<ApiId, Rc<ApiRecord>>,
    /// The organizations that have used up their budgets.
    pub over_budget: BTreeSet<OrganizationId>,
    /// What each gateway serves.
    pub gateways: BTreeMap<GatewayId, Gateway>,
}

/// A gateway, as far as the sync port goes by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Which APIs it serves.
    pub serves: Serves,
    /// The revision at which that last changed.
    pub scope_revision: Revision,
    /// How long its workers may go on without contact.
    pub max_staleness_ms: Option<u64>,
}

/// What a line of the log is about.
#[derive(Debug, Clone)]
pub enum Touched {
    /// A secret, and how far it reached before.
    Key(Secret, Option<Reach>),
    /// An API.
    Api(ApiId),
    /// An organization's budget.
    Organization(OrganizationId),
}

/// The database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Whose history this is.
    pub epoch: Epoch,
    /// The newest revision.
    pub revision: Revision,
    /// Changes up to this revision are no longer logged.
    pub pruned: Revision,
    /// How often a gateway was changed.
    pub gateway_changes: u64,
    /// Whether every living worker has been heard since the last restore.
    pub settled: bool,
    /// What is live.
    pub state: Rc<State>,
    /// The change log.
    pub log: Vec<(Revision, Touched)>,
    /// The stored workers.
    pub workers: BTreeMap<(GatewayId, String), Row>,
    /// Counts writes of workers.
    pub workers_written: u64,
}

/// A write that has not been committed.
#[derive(Debug)]
pub struct Write {
    /// What will be live.
    pub state: State,
    touched: Vec<Touched>,
    changes_gateway: bool,
    revision: Revision,
}

impl Write {
    /// Makes a secret live, changes what it opens, or takes it away.
    pub fn set_key(&mut self, secret: Secret, record: Option<KeyRecord>) {
        let before = match record {
            Some(record) => self.state.keys.insert(secret, Rc::new(record)),
            None => self.state.keys.remove(&secret),
        };
        self.touched.push(Touched::Key(secret, before.map(|before| Reach::from(&*before))));
    }

    /// Creates, changes or deletes an API. A gateway that served one that is gone serves it no more.
    pub fn set_api(&mut self, id: ApiId, record: Option<ApiRecord>) {
        self.touched.push(Touched::Api(id));
        if let Some(record) = record {
            self.state.apis.insert(id, Rc::new(record));
            return;
        }
        self.state.apis.remove(&id);
        for gateway in self.state.gateways.values_mut() {
            if let Some(served) = gateway.serves.as_mut().filter(|served| served.contains(&id)) {
                Rc::make_mut(served).remove(&id);
                gateway.scope_revision = self.revision;
                self.changes_gateway = true;
            }
        }
    }

    /// An organization uses up its budget, or gets a new one.
    pub fn set_over_budget(&mut self, id: OrganizationId, is_over_budget: bool) {
        self.touched.push(Touched::Organization(id));
        if is_over_budget {
            self.state.over_budget.insert(id);
        } else {
            self.state.over_budget.remove(&id);
        }
    }

    /// Changes or deletes a gateway.
    pub fn set_gateway(&mut self, id: GatewayId, change: Option<(Serves, Option<u64>)>) {
        self.changes_gateway = true;
        let Some((serves, max_staleness_ms)) = change else {
            self.state.gateways.remove(&id);
            return;
        };
        let before = self.state.gateways.get(&id).filter(|before| before.serves == serves);
        let scope_revision = before.map_or(self.revision, |before| before.scope_revision);
        self.state.gateways.insert(id, Gateway { serves, scope_revision, max_staleness_ms });
    }
}

impl Database {
    /// An empty one.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            revision: 0,
            pruned: 0,
            gateway_changes: 0,
            settled: true,
            state: Rc::default(),
            log: Vec::new(),
            workers: BTreeMap::new(),
            workers_written: 0,
        }
    }

    /// Begins a write.
    pub fn write(&self) -> Write {
        let revision = self.revision + 1;
        Write { state: (*self.state).clone(), touched: Vec::new(), changes_gateway: false, revision }
    }

    /// Commits it.
    pub fn commit(&mut self, write: Write) {
        self.revision = write.revision;
        self.gateway_changes += u64::from(write.changes_gateway);
        self.state = Rc::new(write.state);
        self.log.extend(write.touched.into_iter().map(|touched| (write.revision, touched)));
    }

    /// Forgets what was changed up to `revision`.
    pub fn prune(&mut self, revision: Revision) {
        self.log.retain(|(logged, _)| *logged > revision);
        self.pruned = self.pruned.max(revision);
    }

    /// What changed after `from` up to `head`. Whoever is more than `far` changes behind is too far behind.
    pub fn delta(&self, from: Revision, head: Revision, serves: &Serves, far: usize, bytes_max: usize) -> Delta {
        let first = self.log.partition_point(|(logged, _)| *logged <= from);
        let scope = self.state.scope(serves);
        let is_gone = serves.as_ref().is_some_and(|served| {
            let served = served.iter().copied().collect::<Vec<_>>();
            scope.lacks_any_of(&served)
        });
        if from < self.pruned || head > self.revision || self.log.len() - first > far || is_gone {
            return Delta::TooFar;
        }
        let mut page = Gathering::new(from, head, scope).limited_to(bytes_max);
        for (revision, touched) in self.log.iter().skip(first) {
            let change = Change { revision: *revision, subject: self.state.subject(touched) };
            if page.add(change).expect("a record is rendered") == Room::Full {
                break;
            }
        }
        page.finish().expect("a page is rendered")
    }

    /// All there is for such a gateway, in pages of so many records, and how many keys that is.
    pub fn snapshot(&self, serves: &Serves, records_max: usize) -> (Vec<Rc<Body>>, u32) {
        let scope = self.state.scope(serves);
        let apis = self.state.apis.values().filter(|api| scope.has_api(api.id));
        let keys = self.state.keys.values().filter(|key| scope.has_key(&Reach::from(&***key)));
        let keys = keys.map(|key| Record::Key((**key).clone())).collect::<Vec<_>>();
        let count = u32::try_from(keys.len()).expect("few keys");
        let over_budget = self.state.over_budget.iter().copied().map(Record::OverBudget);
        let records = over_budget.chain(apis.map(|api| Record::Api((**api).clone()))).chain(keys).collect::<Vec<_>>();
        let mut pages = records.chunks(records_max).map(page_of).collect::<Vec<_>>();
        if pages.is_empty() {
            pages.push(Rc::default());
        }
        (pages, count)
    }
}

fn page_of(records: &[Record]) -> Rc<Body> {
    let mut body = Body::default();
    for record in records {
        assert!(body.push(record).expect("a record is rendered"), "few records fit into a page");
    }
    Rc::new(body)
}

impl State {
    /// What serving these comes to.
    pub fn scope(&self, serves: &Serves) -> Scope {
        let Some(served) = serves else {
            return Scope::Everything;
        };
        let there = served.iter().filter_map(|id| Some((*id, access(self.apis.get(id)?))));
        Scope::Apis(there.collect())
    }

    fn subject(&self, touched: &Touched) -> Subject {
        match touched {
            Touched::Key(secret, before) => Subject::Key {
                digest: Digest::from_bytes(*secret),
                before: before.clone(),
                now: self.keys.get(secret).map(|key| (**key).clone()),
            },
            Touched::Api(id) => Subject::Api { id: *id, now: self.apis.get(id).map(|api| (**api).clone()) },
            Touched::Organization(id) => Subject::Organization { id: *id, over_budget: self.over_budget.contains(id) },
        }
    }
}

fn access(record: &ApiRecord) -> Access {
    api::checked(record).expect("a sound record").1.access
}
