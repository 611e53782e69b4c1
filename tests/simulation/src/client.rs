//! Whoever uses the admin API: issues, deletes and changes things, and will ask how far that has come.

use std::collections::BTreeSet;
use std::rc::Rc;

use portcullis_core::digest::Digest;
use portcullis_core::id::{ApiId, GatewayId, KeyId, OrganizationId, UserId};
use portcullis_core::key::ApiKind;
use portcullis_core::limit::{Mode, Per, Policy, Rule, Unit};
use portcullis_core::wire::{ApiRecord, KeyRecord, PRICE_VERSION_FIRST};

use crate::clock::{MINUTE, MS, SECOND};
use crate::control::News;
use crate::coverage::Thing;
use crate::database::{Secret, Serves, Write};
use crate::plan::Focus;
use crate::world::{Event, Question, World};

/// How many APIs and live secrets there are at most.
const APIS_MAX: usize = 6;
const KEYS_MAX: usize = 40;

/// A policy that no other number has, or none.
fn policy(number: u64) -> Option<Policy> {
    let rule = |window_seconds| Rule {
        unit: if number.is_multiple_of(5) { Unit::Tokens } else { Unit::Requests },
        limit: number,
        window_seconds,
        burst: number / 2,
        mode: if number.is_multiple_of(7) { Mode::Observe } else { Mode::Enforce },
    };
    let per = if number.is_multiple_of(2) { Per::Key } else { Per::Organization };
    let rules = (1..=u32::try_from(number % 3).unwrap_or(0)).map(rule).collect::<Vec<_>>();
    (!rules.is_empty()).then_some(Policy { per, rules })
}

impl World {
    /// Changes something, if a control plane is up and reaches its database.
    pub(crate) fn write_something(&mut self) {
        if self.is_quiet {
            return;
        }
        let next = self.random.around(self.plan.writes_every);
        self.after(next, Event::Write);
        let able = (0..self.control.len()).filter(|control| self.is_able(*control)).collect::<Vec<_>>();
        let Some(control) = self.random.one_of(&able).filter(|_| self.gone_back_from.is_none()) else {
            self.count(Thing::WriteFailed);
            return;
        };
        let mut write = self.database.write();
        self.change(&mut write);
        self.commit(control, write);
    }

    fn is_able(&self, control: usize) -> bool {
        self.control[control].process.is_some() && !self.is_cut(control)
    }

    /// Commits a write, announces it, and has people ask how far it has come.
    pub(crate) fn commit(&mut self, control: usize, write: Write) {
        self.database.commit(write);
        self.remember();
        self.count(Thing::Write);
        let (epoch, revision) = (self.database.epoch, self.database.revision);
        self.note("revision {} of epoch {} by control plane {}", &[revision, epoch.number(), control as u64]);
        let own = &self.control[control];
        let (process, looked_at_us) = (own.process.unwrap_or(0), own.clock.us(self.now));
        let news = News { revision, gateway_changes: self.database.gateway_changes };
        // Whoever commits publishes a moment later, or dies before.
        if self.random.chance(800) {
            self.publish(control, news, looked_at_us);
        } else {
            let delay = self.step_time();
            self.after(delay, Event::Look { control, process });
        }
        for other in (0..self.control.len()).filter(|other| *other != control) {
            self.tell(other, |control, process| Event::Look { control, process });
        }
        let question = Question { epoch, revision, written_by: process };
        for delay in [2 * MS, 10 * MS, 50 * MS, SECOND, 8 * SECOND, 70 * SECOND, 11 * MINUTE] {
            let is_late = delay > 10 * MINUTE && self.plan.focus == Some(Focus::Restore);
            if is_late || self.random.chance(250) {
                let delay = self.random.around(delay);
                self.after(delay, Event::Ask(question));
            }
        }
    }

    fn change(&mut self, write: &mut Write) {
        match self.plan.focus {
            Some(Focus::Reach) if write.state.keys.len() > 2 && self.random.chance(700) => {
                let is_last = self.random.chance(200);
                return if is_last { self.delete(write) } else { self.reach_elsewhere(write) };
            }
            Some(Focus::Bounds) if self.random.chance(300) => return self.change_gateway(write),
            Some(Focus::Reach | Focus::Bounds | Focus::Restore) | None => {}
        }
        match self.random.below(100) {
            0..26 => self.issue(write),
            26..48 => self.delete(write),
            48..56 => self.reissue(write),
            56..67 => self.reach_elsewhere(write),
            67..74 => self.change_budget(write),
            74..87 => self.change_api(write),
            _ => self.change_gateway(write),
        }
    }

    fn issue(&mut self, write: &mut Write) {
        let many = if self.random.chance(250) { self.random.between(2, 7) } else { 1 };
        let keys_max = if self.plan.focus == Some(Focus::Reach) { 4 } else { KEYS_MAX };
        for _ in 0..many {
            if write.state.keys.len() >= keys_max {
                return self.delete(write);
            }
            let (kind, organization) = match self.random.below(4) {
                0 => (ApiKind::Dedicated, 1),
                1 => (ApiKind::Dedicated, 2),
                _ => (ApiKind::Serverless, 1),
            };
            let number = self.new_number();
            let record = KeyRecord {
                id: KeyId::from_number(number),
                digest: Digest::from_bytes([0; 32]),
                kind,
                organization: OrganizationId::from_number(organization),
                user: UserId::from_number(number % 3),
                expires_at_ms: None,
                apis: self.some_apis(write),
                rate_limited: kind == ApiKind::Dedicated && number.is_multiple_of(2),
                over_budget: false,
            };
            self.put_secret(write, &record);
        }
    }

    /// Makes a new secret live for a key.
    fn put_secret(&mut self, write: &mut Write, record: &KeyRecord) {
        let mut secret = [0; 32];
        secret.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.random.next().to_be_bytes()));
        let digest = Digest::from_bytes(secret);
        write.set_key(secret, Some(KeyRecord { digest, ..record.clone() }));
    }

    /// What a key is confined to: nothing, or some of the APIs.
    fn some_apis(&mut self, write: &Write) -> Option<Vec<ApiId>> {
        let apis = write.state.apis.keys().copied().collect::<Vec<_>>();
        self.random.chance(600).then(|| apis.into_iter().filter(|_| self.random.chance(400)).collect())
    }

    fn any_secret(&mut self, write: &Write) -> Option<Secret> {
        let secrets = write.state.keys.keys().copied().collect::<Vec<_>>();
        self.random.one_of(&secrets)
    }

    /// Every secret of the key that has this one.
    fn secrets_of_same_key(write: &Write, secret: &Secret) -> Vec<(Secret, KeyRecord)> {
        let Some(id) = write.state.keys.get(secret).map(|key| key.id) else {
            return Vec::new();
        };
        let same = write.state.keys.iter().filter(|(_, key)| key.id == id);
        same.map(|(secret, key)| (*secret, (**key).clone())).collect()
    }

    fn delete(&mut self, write: &mut Write) {
        let many = if self.random.chance(200) { self.random.between(2, 9) } else { 1 };
        for _ in 0..many {
            let Some(secret) = self.any_secret(write) else { return };
            for (secret, _) in Self::secrets_of_same_key(write, &secret) {
                write.set_key(secret, None);
            }
        }
    }

    /// Gives a key a new secret. The old ones die, or work on for a while.
    fn reissue(&mut self, write: &mut Write) {
        let Some(secret) = self.any_secret(write) else { return };
        let all = Self::secrets_of_same_key(write, &secret);
        let keeps_one = self.random.chance(400);
        for (other, _) in &all {
            if !(keeps_one && *other == secret) {
                write.set_key(*other, None);
            }
        }
        if let Some((_, record)) = all.first() {
            self.put_secret(write, record);
        }
    }

    fn reach_elsewhere(&mut self, write: &mut Write) {
        let Some(secret) = self.any_secret(write) else { return };
        let apis = self.some_apis(write);
        for (secret, record) in Self::secrets_of_same_key(write, &secret) {
            let rate_limited = record.kind == ApiKind::Dedicated && !record.rate_limited;
            write.set_key(secret, Some(KeyRecord { apis: apis.clone(), rate_limited, ..record }));
        }
    }

    /// An organization or a key uses up its budget, or gets a new one.
    fn change_budget(&mut self, write: &mut Write) {
        if self.random.chance(600) {
            let id = OrganizationId::from_number(self.random.between(1, 2));
            let is_over_budget = !write.state.over_budget.contains(&id);
            self.count(if is_over_budget { Thing::OverBudget } else { Thing::WithinBudget });
            return write.set_over_budget(id, is_over_budget);
        }
        let Some(secret) = self.any_secret(write) else { return };
        for (secret, record) in Self::secrets_of_same_key(write, &secret) {
            write.set_key(secret, Some(KeyRecord { over_budget: !record.over_budget, ..record }));
        }
    }

    fn change_api(&mut self, write: &mut Write) {
        let apis = write.state.apis.keys().copied().collect::<Vec<_>>();
        let number = self.new_number();
        match self.random.one_of(&apis) {
            Some(id) if apis.len() > 2 && self.random.chance(450) => {
                write.set_api(id, None);
                // Much in one revision.
                if self.random.chance(300) {
                    self.delete(write);
                }
            }
            Some(id) if self.random.chance(500) || apis.len() >= APIS_MAX => {
                let before = write.state.apis.get(&id).map(|api| (**api).clone());
                let (path_prefix, rate_limit) = (format!("/{number}"), policy(number));
                let count_tokens = !number.is_multiple_of(3);
                write.set_api(
                    id,
                    before.map(|api| ApiRecord {
                        path_prefix,
                        rate_limit,
                        price_version: api.price_version + 1,
                        count_tokens,
                        ..api
                    }),
                );
            }
            Some(_) | None => {
                let owner = self.random.one_of(&[None, None, Some(1), Some(2)]).flatten();
                let id = ApiId::from_number(number);
                let record = ApiRecord {
                    id,
                    kind: if owner.is_some() { ApiKind::Dedicated } else { ApiKind::Serverless },
                    organization: owner.map(OrganizationId::from_number),
                    hosts: Vec::new(),
                    path_prefix: format!("/{number}"),
                    forward_credential: false,
                    rate_limit: policy(number),
                    price_version: PRICE_VERSION_FIRST,
                    count_tokens: true,
                };
                write.set_api(id, Some(record));
            }
        }
    }

    fn change_gateway(&mut self, write: &mut Write) {
        let gateways = write.state.gateways.keys().copied().collect::<Vec<_>>();
        let Some(id) = self.random.one_of(&gateways) else { return };
        let Some(before) = write.state.gateways.get(&id).cloned() else { return };
        let is_confined = id.number() == 3;
        let scopes = if self.plan.focus == Some(Focus::Reach) { 50 } else { 500 };
        if is_confined && self.random.chance(scopes) {
            let serves = self.some_served(write);
            write.set_gateway(id, Some((serves, before.max_staleness_ms)));
        } else if self.random.chance(60) && self.plan.is_long && gateways.len() > 1 {
            write.set_gateway(id, None);
        } else {
            let bound_ms = self.bound_ms();
            write.set_gateway(id, Some((before.serves, bound_ms)));
        }
    }

    fn some_served(&mut self, write: &Write) -> Serves {
        let apis = write.state.apis.keys().copied().collect::<Vec<_>>();
        let served = apis.into_iter().filter(|_| self.random.chance(500)).collect::<BTreeSet<_>>();
        Some(Rc::new(served))
    }

    /// How long a gateway's workers may go on without contact.
    pub(crate) fn bound_ms(&mut self) -> Option<u64> {
        if !self.plan.is_bounded {
            return None;
        }
        self.random.one_of(&[None, Some(5_000), Some(8_000), Some(20_000), Some(60_000)]).flatten()
    }

    /// What there is at first.
    pub(crate) fn furnish(&mut self) {
        let mut write = self.database.write();
        for _ in 0..4 {
            self.change_api(&mut write);
            self.issue(&mut write);
        }
        for number in 1..=3 {
            let serves = if number == 3 { self.some_served(&write) } else { None };
            let bound_ms = if number == 1 { None } else { self.bound_ms() };
            write.set_gateway(GatewayId::from_number(number), Some((serves, bound_ms)));
        }
        self.database.commit(write);
        self.remember();
    }
}
