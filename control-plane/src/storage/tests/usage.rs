//! Questions about usage, compared with what is counted by hand over the same requests.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::api::Access;
use portcullis_core::id::{ApiId, Id, UserId};
use portcullis_core::outcome::Outcome;
use portcullis_core::path::Prefix;

use super::used::Used;
use super::*;
use crate::domain::api::Route;
use crate::domain::period::Period;
use crate::domain::usage_query::{Asked, Dimension, Grouping, Subject};
use crate::domain::user::{Role, RoleName};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A generator with a seed (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

/// Two organizations with their users, keys and APIs, and what was used in the last hundred days.
struct Scene {
    keys: Vec<Key>,
    users: Vec<UserId>,
    organizations: Vec<OrganizationId>,
    apis: Vec<(ApiId, Option<ApiKind>)>,
    used: Vec<Used>,
}

impl Scene {
    async fn new(fixture: &Fixture, random: &mut Random) -> Self {
        let mut write = fixture.write().await;
        let other = write.create_organization(&name("other"), None).await.unwrap().unwrap().id;
        let organizations = vec![fixture.organization, other];
        let mut users = vec![fixture.actor.user];
        for number in 0..5 {
            let role = Role::new(RoleName::Member, Some(organizations[number % 2])).unwrap();
            let new = NewUser { name: name(&format!("user {number}")), role, password_hash: None };
            users.push(write.create_user(new).await.unwrap().unwrap().id);
        }
        let mut keys = Vec::new();
        for number in 0..30 {
            // Some users have issued keys in both organizations, as who moves does.
            let (organization, created_by) = (*random.of(&organizations), *random.of(&users));
            let new = NewKey { organization, created_by, name: name(&format!("key {number}")), ..fixture.new_key() };
            keys.push(write.issue_key(new, &fixture.secret()).await.unwrap());
        }
        let mut apis = Vec::new();
        for number in 0..4 {
            let access = if number % 2 == 0 { Access::Serverless } else { Access::Dedicated(organizations[0]) };
            let path_prefix = Prefix::read(&format!("/{number}")).unwrap();
            let new = NewApi {
                name: name(&format!("api {number}")),
                access,
                route: Route { hosts: Vec::new(), path_prefix },
                rate_limit: None,
                price: None,
                count_tokens: true,
                forward_credential: false,
            };
            apis.push((write.create_api(new).await.unwrap().unwrap().id, Some(access.kind())));
        }
        write.commit().await.unwrap();
        // One that has been deleted since.
        apis.push((Id::from_number(7), None));
        let used = (0..1_500).map(|_| arbitrary_use(random, &keys, &apis)).collect::<Vec<_>>();
        fixture.store.fill_usage(&used).await;
        Self { keys, users, organizations, apis, used }
    }

    fn scopes(&self) -> Vec<UsageScope> {
        let key = &self.keys[3];
        vec![
            UsageScope::Everything,
            UsageScope::Organization(self.organizations[0]),
            UsageScope::Organization(self.organizations[1]),
            UsageScope::User(self.users[0], None),
            UsageScope::User(self.users[1], None),
            UsageScope::User(self.users[2], Some(self.organizations[0])),
            UsageScope::Key { key: key.id, organization: key.organization, user: key.created_by },
            UsageScope::Nothing,
        ]
    }

    /// What of it passes the filters of `query` in the time that its answer covers.
    fn passing(&self, query: &UsageQuery, page: &UsagePage) -> impl Iterator<Item = &Used> {
        let (range, kind, api) = (page.range, query.kind, query.api);
        let scope = query.scope;
        self.used.iter().filter(move |used| {
            let kind_of = self.apis.iter().find(|(id, _)| *id == used.api).unwrap().1;
            let in_scope = match scope {
                UsageScope::Everything => true,
                UsageScope::Organization(organization) => used.organization == organization,
                UsageScope::User(user, organization) => {
                    used.user == user && organization.is_none_or(|organization| used.organization == organization)
                }
                UsageScope::Key { key, .. } => used.key == key,
                UsageScope::Nothing => false,
            };
            let in_time = range.from <= used.at && used.at < range.to;
            in_scope
                && in_time
                && kind.is_none_or(|kind| kind_of == Some(kind))
                && api.is_none_or(|api| used.api == api)
        })
    }
}

fn arbitrary_use(random: &mut Random, keys: &[Key], apis: &[(ApiId, Option<ApiKind>)]) -> Used {
    let at = Timestamp::from_unix_ms(NOW_MS - random.below(100 * DAY_MS));
    let mut used = Used::once(random.of(keys), random.of(apis).0, *random.of(&Outcome::ALL), at);
    used.counts = std::array::from_fn(|_| random.below(1_000));
    used.cost_picos = random.below(3_000_000_000);
    used
}

/// What a row stands for: subject, start of its time, API and outcome.
type Place = (u64, Option<u64>, Option<ApiId>, Option<usize>);
/// How much of everything: requests by outcome, then what [`Used::counts`] counts but requests, then the cost.
type Sum = (BTreeMap<&'static str, u64>, [u64; 6], u128);

fn place_of(used: &Used, grouping: &Grouping) -> Place {
    let subject = match grouping.subject {
        None => 0,
        Some(Subject::Key) => used.key.number(),
        Some(Subject::User) => used.user.number(),
        Some(Subject::Organization) => used.organization.number(),
    };
    let start = grouping.bucket.map(|period| period.floor(used.at).unix_ms());
    let outcome = Outcome::ALL.iter().position(|outcome| *outcome == used.outcome);
    (subject, start, grouping.api.then_some(used.api), outcome.filter(|_| grouping.outcome))
}

fn add(sum: &mut Sum, used: &Used) {
    *sum.0.entry(used.outcome.label()).or_default() += used.counts[0];
    sum.1.iter_mut().zip(&used.counts[1..]).for_each(|(sum, more)| *sum += more);
    sum.2 += u128::from(used.cost_picos);
}

fn sum_of(tally: &crate::domain::usage_query::Tally) -> Sum {
    let amounts = tally.amounts;
    let outcomes = tally.outcomes().filter(|(_, requests)| *requests > 0);
    let counts = [
        amounts.request_bytes,
        amounts.response_bytes,
        amounts.prompt_tokens,
        amounts.completion_tokens,
        amounts.estimated,
        amounts.unknown,
    ];
    (outcomes.map(|(outcome, requests)| (outcome.label(), requests)).collect(), counts, amounts.cost_picos)
}

/// Every grouping that there can be.
fn groupings() -> Vec<Grouping> {
    let mut groupings = BTreeSet::new();
    for bits in 0..1_u8 << Dimension::ALL.len() {
        let chosen = Dimension::ALL.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        groupings.insert(chosen.map(|(_, dimension)| dimension.name()).collect::<Vec<_>>().join(","));
    }
    let groupings = groupings.iter().filter_map(|text| Grouping::parse(text).ok()).collect::<Vec<_>>();
    assert_eq!(groupings.len(), 4 * 3 * 2 * 2);
    groupings
}

/// All pages of an answer, as one, and how many there were.
async fn all_pages(store: &Store, query: &UsageQuery) -> (UsagePage, usize) {
    let mut whole = store.usage(query).await.unwrap();
    let mut pages = 1;
    while let Some(after) = whole.next {
        let page = store.usage(&UsageQuery { after: Some(after), ..query.clone() }).await.unwrap();
        assert_eq!((page.range, &page.total), (whole.range, &whole.total));
        whole.rows.extend(page.rows);
        whole.subjects.extend(page.subjects);
        whole.next = page.next;
        pages += 1;
    }
    (whole, pages)
}

async fn assert_counted(fixture: &Fixture, scene: &Scene, query: &UsageQuery) {
    let (answer, pages) = all_pages(&fixture.store, query).await;
    let (mut expected, mut total): (BTreeMap<Place, Sum>, Sum) = Default::default();
    let mut subjects = BTreeSet::new();
    for used in scene.passing(query, &answer) {
        let place = place_of(used, &query.grouping);
        subjects.insert(place.0);
        add(expected.entry(place).or_default(), used);
        add(&mut total, used);
    }
    // A request that counts nothing is in a row, and in no sum.
    total.0.retain(|_, requests| *requests > 0);
    expected.values_mut().for_each(|sum| sum.0.retain(|_, requests| *requests > 0));
    if query.grouping == Grouping::default() {
        expected.entry((0, None, None, None)).or_default();
    }
    let position = |outcome| Outcome::ALL.iter().position(|one| *one == outcome);
    let rows = answer.rows.iter().map(|row| {
        let start = row.start.map(Timestamp::unix_ms);
        ((row.subject, start, row.api, row.outcome.and_then(position)), sum_of(&row.tally))
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{query:?}");
    assert_eq!(sum_of(&answer.total), total, "{query:?}");
    if query.grouping.subject.is_some() {
        let limit = usize::try_from(query.limit).unwrap();
        assert_eq!(pages, subjects.len().div_ceil(limit).max(1), "{query:?}");
        assert_eq!(answer.subjects.keys().copied().collect::<BTreeSet<_>>(), subjects);
    }
}

fn instant(days_ago: u64, hours: u64) -> Timestamp {
    Timestamp::from_unix_ms(NOW_MS - days_ago * DAY_MS + hours * 60 * 60 * 1_000 + 1_234)
}

on_both! {
    async fn whatever_is_asked_about_usage_is_what_counting_by_hand_finds(fixture: &Fixture) {
        let mut random = Random(20_270_115);
        let scene = Scene::new(fixture, &mut random).await;
        // Hours are dropped by whole days; days and months stay.
        let kept = Period::Day.floor(instant(31, 0));
        let from = sql("UPDATE control SET usage_hours_from = $1").bind(kept.unix_ms().cast_signed());
        fixture.execute(from).await;
        fixture.execute(sql("DELETE FROM usage WHERE period = 'hour' AND start < $1").bind(kept.unix_ms().cast_signed())).await;
        let ranges = [(None, None), (Some(instant(95, 3)), Some(instant(2, 5))), (Some(instant(20, 2)), None),
                      (Some(instant(60, 2)), Some(instant(60, 5))), (Some(instant(9, 0)), Some(instant(8, 7)))];
        let mut asked = 0;
        for grouping in groupings() {
            for scope in scene.scopes() {
                let (from, to) = *random.of(&ranges);
                let (api, kind) = match random.below(4) {
                    0 => (Some(random.of(&scene.apis).0), None),
                    1 => (None, Some(*random.of(&ApiKind::ALL))),
                    _ => (None, None),
                };
                let Ok(asks) = Asked::new(from, to, write_now(), grouping.bucket) else { continue };
                let limit = *random.of(&[1, 2, 7, 100]);
                let query = UsageQuery { scope, api, kind, asked: asks, grouping: grouping.clone(), after: None, limit };
                assert_counted(fixture, &scene, &query).await;
                asked += 1;
            }
        }
        assert!(asked > 250, "{asked}");
    }

    async fn a_page_ends_early_where_its_rows_are_many_and_the_next_goes_on(fixture: &Fixture) {
        let keys = fixture.issue_many(25).await;
        let api = Id::from_number(1);
        let mut used = Vec::new();
        for key in &keys {
            for hour in 0..25 * 24 {
                for outcome in [Outcome::ALL[0], Outcome::ALL[4], Outcome::ALL[11]] {
                    used.push(Used::once(key, api, outcome, Timestamp::from_unix_ms(NOW_MS - hour * 60 * 60 * 1_000)));
                }
            }
        }
        fixture.store.fill_usage(&used).await;
        let grouping = Grouping::parse("key,hour,outcome").unwrap();
        let asked = Asked::new(Some(instant(30, 0)), None, write_now(), grouping.bucket).unwrap();
        let query = UsageQuery {
            scope: UsageScope::Everything, api: None, kind: None, asked, grouping, after: None, limit: 1_000,
        };
        let (answer, pages) = all_pages(&fixture.store, &query).await;
        assert_eq!((answer.rows.len(), pages), (used.len(), 2));
    }

    async fn a_walk_that_finds_little_gives_short_pages_and_goes_on(fixture: &Fixture) {
        let keys = fixture.issue_many(5_200).await;
        let used = [&keys[10], &keys[5_100]].map(|key| Used::once(key, Id::from_number(1), Outcome::ALL[0], write_now()));
        fixture.store.fill_usage(&used).await;
        let asked = Asked::new(None, None, write_now(), None).unwrap();
        let grouping = Grouping::parse("key").unwrap();
        let scope = UsageScope::Organization(fixture.organization);
        let query = UsageQuery { scope, api: None, kind: None, asked, grouping, after: None, limit: 100 };
        let (answer, pages) = all_pages(&fixture.store, &query).await;
        assert_eq!((answer.rows.len(), pages), (2, 2));
    }
}
