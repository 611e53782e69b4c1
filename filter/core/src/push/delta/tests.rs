//! The laws of a page, against a history that remembers its state at every revision.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::api::Access;
use crate::id::{KeyId, OrganizationId, UserId};
use crate::key::ApiKind;
use crate::wire::{Content, Epoch, Header, Page};

const KEYS: u8 = 40;
/// Pages of so many bytes fill up quickly.
const BYTES_MAX: usize = 1_500;

/// What one key is confined to, or that it is gone.
type State = BTreeMap<u8, Vec<ApiId>>;

fn record(key: u8, apis: &[ApiId]) -> KeyRecord {
    KeyRecord {
        id: KeyId::from_number(key.into()),
        digest: Digest::of(&[key]),
        kind: ApiKind::Serverless,
        organization: OrganizationId::from_number(1),
        user: UserId::from_number(1),
        expires_at_ms: None,
        apis: Some(apis.to_vec()),
        rate_limited: false,
        over_budget: false,
    }
}

#[derive(Debug, Default)]
struct History {
    states: Vec<State>,
    log: Vec<(Revision, u8, Option<Vec<ApiId>>)>,
}

impl History {
    /// Each write sets some keys: to open API 1, API 2, both, or nothing at all.
    fn of(writes: &[Vec<(u8, u8)>]) -> Self {
        let mut history = Self { states: vec![State::new()], log: Vec::new() };
        for (revision, write) in (1..).zip(writes) {
            let mut state = history.states.last().unwrap().clone();
            for (key, opens) in write {
                let apis = (0..2).filter(|bit| opens >> bit & 1 == 1).map(|bit| ApiId::from_number(1 + bit));
                let before = if *opens > 3 { state.remove(key) } else { state.insert(*key, apis.collect()) };
                history.log.push((revision, *key, before));
            }
            history.states.push(state);
        }
        history
    }

    fn head(&self) -> Revision {
        self.states.len() as Revision - 1
    }

    /// The page that a control plane would gather when the history has come to `now`, of which it may have heard up to
    /// `head` only.
    fn page(
        &self,
        from: Revision,
        head: Revision,
        now: Revision,
        scope: &Scope,
    ) -> (Revision, bool, Vec<Record>, usize) {
        let mut gathering = Gathering::new(from, head, scope.clone()).limited_to(BYTES_MAX);
        for (revision, key, before) in self.log.iter().take_while(|(revision, ..)| *revision <= now) {
            let subject = Subject::Key {
                digest: Digest::of(&[*key]),
                before: before.as_deref().map(|apis| Reach::from(&record(*key, apis))),
                now: self.states[now as usize].get(key).map(|apis| record(*key, apis)),
            };
            if gathering.add(Change { revision: *revision, subject }).unwrap() == Room::Full {
                break;
            }
        }
        let Delta::Page { to, more, body } = gathering.finish().unwrap() else { panic!("too far") };
        let bytes = body.page(&header(Content::Delta { from, to, more })).unwrap();
        (to, more, Page::parse(&bytes).unwrap().records, body.len())
    }
}

fn header(content: Content) -> Header {
    Header { poll: u64::MAX, epoch: Epoch::from_number(1), now_ms: u64::MAX, lease: None, content }
}

/// What of a state a gateway is told.
fn told(state: &State, scope: &Scope) -> State {
    let told = |(key, apis): &(&u8, &Vec<ApiId>)| scope.has_key(&Reach::from(&record(**key, apis)));
    state.iter().filter(told).map(|(key, apis)| (*key, apis.clone())).collect()
}

fn apply(held: &mut State, records: Vec<Record>) {
    let number = |digest: &Digest| (0..KEYS).find(|key| Digest::of(&[*key]) == *digest).unwrap();
    for record in records {
        match record {
            Record::Key(key) => drop(held.insert(number(&key.digest), key.apis.unwrap())),
            Record::DeleteKey(digest) => drop(held.remove(&number(&digest))),
            Record::Api(_) | Record::DeleteApi(_) | Record::OverBudget(_) | Record::WithinBudget(_) => {
                panic!("{record:?}")
            }
        }
    }
}

fn scopes() -> impl Strategy<Value = Scope> {
    let api = |number| (ApiId::from_number(number), Access::Serverless);
    prop::sample::select(vec![
        Scope::Everything,
        Scope::Apis(vec![api(1)]),
        Scope::Apis(vec![api(2)]),
        Scope::Apis(vec![api(1), api(2)]),
        Scope::Apis(Vec::new()),
    ])
}

fn writes() -> impl Strategy<Value = Vec<Vec<(u8, u8)>>> {
    prop::collection::vec(prop::collection::vec((0..KEYS, 0_u8..6), 1..12), 1..30)
}

proptest! {
    /// Whenever its pages are gathered, of each key a worker knows what it was at the worker's revision or later, and at
    /// the end exactly what it is. Pages are short, and none is in vain.
    #[test]
    fn a_worker_that_follows_is_never_behind_its_revision(
        writes in writes(), scope in scopes(), start in any::<prop::sample::Index>(),
        steps in prop::collection::vec((0_u64..8, 0_u64..4), 12),
    ) {
        let history = History::of(&writes);
        let mut at = start.index(history.states.len()) as Revision;
        let mut held = told(&history.states[at as usize], &scope);
        let mut now = at;
        // At last somebody asks until there is no more.
        for (goes_on, unheard) in steps.into_iter().chain([(99, 0); 30]) {
            if goes_on == 99 && at == history.head() {
                break;
            }
            now = history.head().min(now + goes_on);
            let head = at.max(now.saturating_sub(unheard));
            let (to, more, records, bytes) = history.page(at, head, now, &scope);
            prop_assert_eq!(more, to < head);
            prop_assert!(to > at || at == head);
            let in_first = history.log.iter().filter(|(revision, ..)| *revision == at + 1).count();
            prop_assert!(bytes <= BYTES_MAX || (to == at + 1 && in_first > 1));
            let deletions = records.iter().map(|record| !matches!(record, Record::DeleteKey(_)));
            prop_assert!(deletions.is_sorted());
            let subjects = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect::<BTreeSet<_>>();
            prop_assert_eq!(subjects.len(), records.len());
            apply(&mut held, records);
            at = to;
            let later = history.states[at as usize..].iter().map(|state| told(state, &scope)).collect::<Vec<_>>();
            for key in 0..KEYS {
                prop_assert!(later.iter().any(|state| state.get(&key) == held.get(&key)), "key {key} at {at}");
            }
        }
        prop_assert_eq!(at, history.head());
        prop_assert_eq!(held, told(&history.states[at as usize], &scope));
    }
}

#[test]
fn a_gateway_is_told_of_a_key_that_is_gone_if_a_worker_of_it_may_hold_it() {
    // It opens API 2, then API 1, and is deleted.
    let history = History::of(&[vec![(1, 2)], vec![(1, 1)], vec![(1, 4)]]);
    let confined = |api| Scope::Apis(vec![(ApiId::from_number(api), Access::Serverless)]);
    let deletion = [Record::DeleteKey(Digest::of(&[1]))];
    // A worker at 1 that was told of it after 2 holds it, although the first change that it has not heard of says that
    // it opened something else before.
    assert_eq!(history.page(0, 1, 2, &confined(1)).2, [Record::Key(record(1, &history.states[2][&1]))]);
    assert_eq!(history.page(1, 3, 3, &confined(1)).2, deletion);
    assert_eq!(history.page(0, 3, 3, &confined(3)).2, []);
    assert_eq!(history.page(2, 3, 3, &confined(2)).2, []);
    assert_eq!(history.page(0, 3, 3, &Scope::Everything).2, deletion);
}

#[test]
fn a_revision_is_taken_whole_if_it_fits_into_any_page_and_is_too_far_if_not() {
    let gather = |keys: u32| {
        let mut gathering = Gathering::new(0, 2, Scope::Everything);
        for key in 0..keys {
            let digest = Digest::of(&key.to_be_bytes());
            let subject = Subject::Key { digest, before: None, now: None };
            gathering.add(Change { revision: 1, subject }).unwrap();
        }
        let api = Subject::Api { id: ApiId::from_number(1), now: None };
        let room = gathering.add(Change { revision: 2, subject: api }).unwrap();
        (room, gathering.finish().unwrap())
    };
    // A deletion of a key takes 82 bytes, one of an API 34, and all of a page is 1,047,552.
    assert!(matches!(gather(12_774), (Room::Left, Delta::Page { to: 2, more: false, .. })));
    assert!(matches!(gather(12_775), (Room::Full, Delta::Page { to: 1, more: true, .. })));
    assert!(matches!(gather(12_776), (Room::Full, Delta::TooFar)));
}

#[test]
fn changes_that_are_not_asked_for_leave_no_trace() {
    let mut gathering = Gathering::new(4, 6, Scope::Everything);
    for revision in [3, 4, 7] {
        let subject = Subject::Api { id: ApiId::from_number(revision), now: None };
        assert_eq!(gathering.add(Change { revision, subject }).unwrap(), Room::Left);
    }
    let Delta::Page { to, more, body } = gathering.finish().unwrap() else { panic!("too far") };
    assert!((to, more) == (6, false) && body.is_empty());
}

/// The records of a page of changes of organizations: the revision of each, its number, and whether it is over budget
/// now.
fn page_of_organizations(scope: Scope, changes: &[(Revision, u64, bool)]) -> Vec<Record> {
    let mut gathering = Gathering::new(0, 9, scope);
    for (revision, id, over_budget) in changes {
        let subject = Subject::Organization { id: OrganizationId::from_number(*id), over_budget: *over_budget };
        assert_eq!(gathering.add(Change { revision: *revision, subject }).unwrap(), Room::Left);
    }
    let key = Subject::Key { digest: Digest::of(&[1]), before: None, now: Some(record(1, &[])) };
    gathering.add(Change { revision: 8, subject: key }).unwrap();
    let gone = Subject::Key { digest: Digest::of(&[2]), before: Some(Reach::from(&record(2, &[]))), now: None };
    gathering.add(Change { revision: 9, subject: gone }).unwrap();
    let Delta::Page { to: 9, more: false, body } = gathering.finish().unwrap() else { panic!("too far") };
    Page::parse(&body.page(&header(Content::Delta { from: 0, to: 9, more: false })).unwrap()).unwrap().records
}

#[test]
fn an_organization_that_changed_often_is_told_of_once_and_a_stop_comes_before_what_opens() {
    let organization = OrganizationId::from_number;
    let changes = [(1, 5, false), (2, 6, true), (3, 5, false), (4, 6, true)];
    let expected = [
        Record::DeleteKey(Digest::of(&[2])),
        Record::OverBudget(organization(6)),
        Record::Key(record(1, &[])),
        Record::WithinBudget(organization(5)),
    ];
    assert_eq!(page_of_organizations(Scope::Everything, &changes), expected);
    // A gateway that serves nothing is told of organizations all the same: keys may come into its reach.
    assert_eq!(page_of_organizations(Scope::Apis(Vec::new()), &changes), [expected[1].clone(), expected[3].clone()]);
}
