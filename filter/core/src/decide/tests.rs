//! The decision, question by question.

use super::*;
use crate::id::{OrganizationId, UserId};
use crate::key::{Kind, PlainKey};
use crate::limit::{Mode, Per, Policy, Rule, Subject, Unit};
use crate::wire::{ApiRecord, KeyRecord, PRICE_VERSION_FIRST, Record};
use std::convert::Infallible;

const OWN: u64 = 1;
const OTHER: u64 = 2;

struct House {
    directory: Directory,
    rules: Rules,
}

impl House {
    /// One shared API, one of each of two organizations, and a narrower one under the shared API.
    fn new() -> Self {
        let mut house = Self {
            directory: Directory::with_capacity(0),
            rules: Rules { exempt_paths: vec!["/healthz".to_owned()], ..Rules::default() },
        };
        house.api(1, "/v1", None);
        house.api(2, "/own", Some(OWN));
        house.api(3, "/other", Some(OTHER));
        house.api(4, "/v1/narrow", None);
        house
    }

    fn api(&mut self, id: u64, path_prefix: &str, owner: Option<u64>) {
        self.api_with(id, path_prefix, owner, None);
    }

    fn api_with(&mut self, id: u64, path_prefix: &str, owner: Option<u64>, rate_limit: Option<Policy>) {
        let record = ApiRecord {
            id: ApiId::from_number(id),
            kind: owner.map_or(ApiKind::Serverless, |_| ApiKind::Dedicated),
            organization: owner.map(OrganizationId::from_number),
            hosts: Vec::new(),
            path_prefix: path_prefix.to_owned(),
            forward_credential: false,
            rate_limit,
            price_version: PRICE_VERSION_FIRST,
            count_tokens: true,
        };
        self.directory.apply(Record::Api(record)).unwrap();
    }

    /// Issues a key of `OWN` and returns its `Authorization` value.
    fn key(&mut self, kind: ApiKind, expires_at_ms: Option<u64>, apis: Option<&[u64]>) -> String {
        self.key_with(kind, expires_at_ms, apis, false)
    }

    fn key_with(
        &mut self,
        kind: ApiKind,
        expires_at_ms: Option<u64>,
        apis: Option<&[u64]>,
        rate_limited: bool,
    ) -> String {
        let id = self.directory.keys.len() as u64;
        let key = PlainKey::generate(&self.rules.brand, Kind::Api(kind), |random| {
            random.fill(id as u8);
            Ok::<_, Infallible>(())
        })
        .unwrap();
        let record = KeyRecord {
            id: KeyId::from_number(id),
            digest: key.digest(),
            kind,
            organization: OrganizationId::from_number(OWN),
            user: UserId::from_number(7),
            expires_at_ms,
            apis: apis.map(|apis| apis.iter().copied().map(ApiId::from_number).collect()),
            rate_limited,
            over_budget: false,
        };
        self.directory.apply(Record::Key(record)).unwrap();
        format!("Bearer {}", key.reveal())
    }

    /// Changes what is known of the key with this `Authorization` value and number.
    fn change(&mut self, authorization: &str, id: u64, kind: ApiKind, change: impl FnOnce(&mut KeyRecord)) {
        let mut record = KeyRecord {
            id: KeyId::from_number(id),
            digest: Digest::of(authorization.strip_prefix("Bearer ").unwrap().as_bytes()),
            kind,
            organization: OrganizationId::from_number(OWN),
            user: UserId::from_number(7),
            expires_at_ms: None,
            apis: None,
            rate_limited: false,
            over_budget: false,
        };
        change(&mut record);
        self.directory.apply(Record::Key(record)).unwrap();
    }

    fn decide(&self, target: &str, authorization: &str, now_ms: u64) -> Decision {
        let authorizations = [authorization.as_bytes()];
        let request = Request {
            target: Some(target.as_bytes()),
            authority: Some(b"api.example"),
            authorizations: authorizations.into_iter(),
        };
        decide(&self.rules, Serving::Current(&self.directory), || now_ms, request)
    }
}

/// The refusal of a key at an API.
fn refused(refusal: Refusal, key: u64, api: u64) -> Decision {
    let by = Caller { key: KeyId::from_number(key), api: ApiId::from_number(api), price_version: PRICE_VERSION_FIRST };
    Decision::Refused { refusal, by: Some(by) }
}

/// The refusal of who is not known.
const fn refused_to_nobody(refusal: Refusal) -> Decision {
    Decision::Refused { refusal, by: None }
}

fn api_of(decision: Decision) -> Result<u64, Decision> {
    match decision {
        Decision::Allowed(admission) => Ok(admission.caller.api.number()),
        other @ (Decision::Exempt | Decision::Refused { .. } | Decision::Undecided) => Err(other),
    }
}

#[test]
fn a_key_opens_the_apis_of_its_kind_and_organization() {
    let mut house = House::new();
    let serverless = house.key(ApiKind::Serverless, None, None);
    let dedicated = house.key(ApiKind::Dedicated, None, None);
    assert_eq!(api_of(house.decide("/v1/models", &serverless, 0)), Ok(1));
    assert_eq!(api_of(house.decide("/v1/narrow/x", &serverless, 0)), Ok(4));
    assert_eq!(api_of(house.decide("/own", &dedicated, 0)), Ok(2));
    assert_eq!(house.decide("/own", &serverless, 0), refused(Refusal::WrongKind, 0, 2));
    assert_eq!(house.decide("/v1", &dedicated, 0), refused(Refusal::WrongKind, 1, 1));
    assert_eq!(house.decide("/other", &dedicated, 0), refused(Refusal::WrongOrganization, 1, 3));
    assert_eq!(house.decide("/nowhere", &serverless, 0), refused_to_nobody(Refusal::UnknownApi));
}

#[test]
fn scopes_confine_a_key_and_no_scope_left_opens_nothing() {
    let mut house = House::new();
    let scoped = house.key(ApiKind::Serverless, None, Some(&[4]));
    let closed = house.key(ApiKind::Serverless, None, Some(&[]));
    assert_eq!(api_of(house.decide("/v1/narrow", &scoped, 0)), Ok(4));
    assert_eq!(house.decide("/v1", &scoped, 0), refused(Refusal::OutOfScope, 0, 1));
    assert_eq!(house.decide("/v1", &closed, 0), refused(Refusal::OutOfScope, 1, 1));
}

#[test]
fn shared_apis_hold_every_key_to_their_limits_and_dedicated_ones_those_that_ask_for_it() {
    let mut house = House::new();
    let rule = Rule { unit: Unit::Requests, limit: 1, window_seconds: 1, burst: 1, mode: Mode::Enforce };
    for (id, path, owner, per) in [(5, "/shared", None, Per::User), (6, "/limited", Some(OWN), Per::Key)] {
        house.api_with(id, path, owner, Some(Policy { per, rules: vec![rule] }));
    }
    let serverless = house.key(ApiKind::Serverless, None, None);
    let free = house.key(ApiKind::Dedicated, None, None);
    let held = house.key_with(ApiKind::Dedicated, None, None, true);
    let counted = |target, key: &str| match house.decide(target, key, 0) {
        Decision::Allowed(admission) => admission.limits.as_ref().map(|limits| admission.counted(limits)),
        other @ (Decision::Exempt | Decision::Refused { .. } | Decision::Undecided) => panic!("{other:?}"),
    };
    let user = Subject::User(UserId::from_number(7));
    assert_eq!(counted("/shared", &serverless), Some(Counted { api: ApiId::from_number(5), subject: user }));
    assert_eq!(counted("/v1", &serverless), None);
    assert_eq!(counted("/limited", &free), None);
    let key = Subject::Key(KeyId::from_number(2));
    assert_eq!(counted("/limited", &held), Some(Counted { api: ApiId::from_number(6), subject: key }));
    assert_eq!(counted("/own", &held), None);
}

#[test]
fn a_key_ends_at_its_second() {
    let mut house = House::new();
    let key = house.key(ApiKind::Serverless, Some(5_000), None);
    assert_eq!(api_of(house.decide("/v1", &key, 4_999)), Ok(1));
    assert_eq!(house.decide("/v1", &key, 5_000), refused(Refusal::ExpiredKey, 0, 1));
}

#[test]
fn a_deleted_key_is_one_that_never_was() {
    let mut house = House::new();
    let key = house.key(ApiKind::Serverless, None, None);
    let digest = Digest::of(key.strip_prefix("Bearer ").unwrap().as_bytes());
    house.directory.apply(Record::DeleteKey(digest)).unwrap();
    assert_eq!(house.decide("/v1", &key, 0), refused_to_nobody(Refusal::UnknownKey));
}

#[test]
fn exempt_paths_and_unsafe_ones_need_no_directory_and_the_rest_waits_or_is_refused() {
    let house = House::new();
    let decide = |target: Option<&[u8]>, serving| {
        let request = Request { target, authority: Some(b"h"), authorizations: [].into_iter() };
        decide(&house.rules, serving, || 0, request)
    };
    for serving in [Serving::Nothing, Serving::Stale] {
        assert_eq!(decide(Some(b"/healthz?x"), serving), Decision::Exempt);
        assert_eq!(decide(Some(b"/v1/../x"), serving), refused_to_nobody(Refusal::UnsafePath));
        assert_eq!(decide(None, serving), refused_to_nobody(Refusal::UnknownApi));
    }
    assert_eq!(decide(Some(b"/healthz/x"), Serving::Nothing), Decision::Undecided);
    assert_eq!(decide(Some(b"/healthz/x"), Serving::Stale), refused_to_nobody(Refusal::NotReady));
}

#[test]
fn a_host_that_cannot_be_read_has_no_api() {
    let mut house = House::new();
    let key = house.key(ApiKind::Serverless, None, None);
    for authority in [None, Some(b"".as_slice()), Some(b"user@h"), Some(b"h/x")] {
        let request =
            Request { target: Some(b"/v1".as_slice()), authority, authorizations: [key.as_bytes()].into_iter() };
        let decision = decide(&house.rules, Serving::Current(&house.directory), || 0, request);
        assert_eq!(decision, refused_to_nobody(Refusal::UnknownApi));
    }
}

#[test]
fn a_key_over_its_budget_opens_nothing_until_it_is_lifted_and_others_do() {
    let mut house = House::new();
    let key = house.key(ApiKind::Serverless, None, None);
    let other = house.key(ApiKind::Serverless, None, None);
    house.change(&key, 0, ApiKind::Serverless, |record| record.over_budget = true);
    assert_eq!(house.decide("/v1", &key, 0), refused(Refusal::QuotaExceeded, 0, 1));
    assert_eq!(house.decide("/v1/narrow", &key, 0), refused(Refusal::QuotaExceeded, 0, 4));
    assert_eq!(api_of(house.decide("/v1", &other, 0)), Ok(1));
    house.change(&key, 0, ApiKind::Serverless, |_| {});
    assert_eq!(api_of(house.decide("/v1", &key, 0)), Ok(1));
}

#[test]
fn an_organization_over_its_budget_stops_all_its_keys_until_it_is_lifted() {
    let mut house = House::new();
    let serverless = house.key(ApiKind::Serverless, None, None);
    let dedicated = house.key(ApiKind::Dedicated, None, None);
    let own = OrganizationId::from_number(OWN);
    // Once or twice makes no difference, and what has become of others none either.
    for record in
        [Record::OverBudget(own), Record::OverBudget(own), Record::WithinBudget(own), Record::WithinBudget(own)]
    {
        let is_stopped = matches!(record, Record::OverBudget(_));
        house.directory.apply(record).unwrap();
        house.directory.apply(Record::OverBudget(OrganizationId::from_number(OTHER))).unwrap();
        let expected = |key, api| if is_stopped { Err(refused(Refusal::QuotaExceeded, key, api)) } else { Ok(api) };
        assert_eq!(api_of(house.decide("/v1", &serverless, 0)), expected(0, 1));
        assert_eq!(api_of(house.decide("/own", &dedicated, 0)), expected(1, 2));
    }
    // What was issued meanwhile is stopped as well.
    house.directory.apply(Record::OverBudget(own)).unwrap();
    let new = house.key(ApiKind::Serverless, None, None);
    assert_eq!(house.decide("/v1", &new, 0), refused(Refusal::QuotaExceeded, 2, 1));
}

/// Makes a key fail one question.
type Fault = fn(&mut KeyRecord);

/// Each question is asked only of who has passed all before it: of a key that fails several, the first counts.
#[test]
fn the_first_question_that_a_key_fails_is_the_answer() {
    let at = 5_000;
    let faults: [(Refusal, Fault); 5] = [
        (Refusal::ExpiredKey, |record| record.expires_at_ms = Some(5_000)),
        (Refusal::WrongKind, |record| record.kind = ApiKind::Serverless),
        (Refusal::WrongOrganization, |record| record.organization = OrganizationId::from_number(OTHER)),
        (Refusal::OutOfScope, |record| record.apis = Some(Vec::new())),
        (Refusal::QuotaExceeded, |record| record.over_budget = true),
    ];
    let mut house = House::new();
    let key = house.key(ApiKind::Dedicated, None, None);
    for set in 0_u8..1 << faults.len() {
        let failed = |place: usize| set >> place & 1 == 1;
        house.change(&key, 0, ApiKind::Dedicated, |record| {
            let failed = faults.iter().enumerate().filter(|(place, _)| failed(*place));
            failed.for_each(|(_, (_, fault))| fault(record));
        });
        let first = (0..faults.len()).find(|place| failed(*place));
        let expected = first.map_or(Ok(2), |place| Err(refused(faults[place].0, 0, 2)));
        assert_eq!(api_of(house.decide("/own", &key, at)), expected, "{set:05b}");
    }
}

#[test]
fn an_admission_says_which_price_holds_and_whether_tokens_are_counted() {
    let mut house = House::new();
    let key = house.key(ApiKind::Serverless, None, None);
    let admission = |house: &House| match house.decide("/v1", &key, 0) {
        Decision::Allowed(admission) => (admission.caller.price_version, admission.count_tokens),
        other @ (Decision::Exempt | Decision::Refused { .. } | Decision::Undecided) => panic!("{other:?}"),
    };
    assert_eq!(admission(&house), (PRICE_VERSION_FIRST, true));
    let mut record = house.directory.apis.records().find(|api| api.path_prefix == "/v1").unwrap().clone();
    (record.price_version, record.count_tokens) = (7, false);
    house.directory.apply(Record::Api(record)).unwrap();
    assert_eq!(admission(&house), (7, false));
}
