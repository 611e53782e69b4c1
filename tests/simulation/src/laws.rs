//! The laws, and where they are checked: at every step of a worker, whenever a receipt is complete, and at every
//! instant by which something is said to be enforced. Between two of these a worker can only fall silent.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::digest::Digest;
use portcullis_core::directory::Directory;
use portcullis_core::push::reach::{Reach, Scope};
use portcullis_core::wire::{ApiRecord, Cursor, KeyRecord};

use crate::clock::Instant;
use crate::coverage::Thing;
use crate::database::{Secret, State};
use crate::world::World;

/// A law of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// A worker shows what was live at its cursor, or of a key something later, as far as its gateway is told.
    ShowsItsCursor,
    /// Once a receipt is complete, no worker that counts goes by what was before.
    CompleteIsNeverWrong,
    /// From the instant by which a change is enforced, no worker that counted goes by what was before.
    EnforcedByThen,
    /// A cursor never goes back in its epoch, nor to an older epoch.
    NeverBack,
    /// What was deleted before a virtual machine started opens nothing there.
    NothingFromBeforeBirth,
    /// A worker is forgotten after ten minutes of silence while somebody listened, and not before.
    ForgottenByRule,
    /// Once faults stop, every worker arrives, and the receipt of the newest revision becomes complete.
    Arrives,
}

/// A law that was broken, and how.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Which.
    pub law: Law,
    /// How.
    pub how: String,
}

/// What a receipt has promised: from an instant on, every worker goes by a revision or serves nothing.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) law: Law,
    pub(crate) at: Cursor,
    pub(crate) from: Instant,
    /// Workers that were forgotten by rule when it was given.
    pub(crate) excused: BTreeSet<usize>,
}

impl World {
    /// A law is broken; the run ends.
    pub(crate) fn break_law(&mut self, law: Law, how: String) {
        self.trace.note(self.now, &how, &[]);
        self.broken.get_or_insert(Broken { law, how });
    }

    /// Checks every law about one worker.
    pub(crate) fn check(&mut self, vm: usize) {
        self.watch_staleness(vm);
        let (before, now) = (self.vms[vm].cursor, self.vms[vm].replica.cursor());
        if let Some(now) = now
            && before != Some(now)
        {
            self.check_moved(vm, before, now);
            self.vms[vm].cursor = Some(now);
            self.check_directory(vm, now);
        }
        self.check_promises(vm);
    }

    fn check_moved(&mut self, vm: usize, before: Option<Cursor>, now: Cursor) {
        let numbers = [vm as u64, now.epoch.number(), now.revision];
        self.note("vm {} serves {}@{}", &numbers);
        let born = self.vms[vm].born;
        let order = |at: Cursor| (at.epoch.number(), at.revision);
        if order(now) < order(born) {
            let law = Law::NothingFromBeforeBirth;
            self.break_law(law, format!("vm {vm} was born at {born:?} and serves {now:?}"));
        }
        let Some(before) = before else {
            self.count(Thing::CaughtUp);
            return;
        };
        if order(now) < order(before) {
            self.break_law(Law::NeverBack, format!("vm {vm} went back from {before:?} to {now:?}"));
        }
        self.count(match (before.epoch == now.epoch, self.vms[vm].is_catching_up) {
            (true, false) => Thing::DeltaApplied,
            (true, true) => Thing::Replaced,
            (false, _) => Thing::NewEpoch,
        });
    }

    /// Whether the directory shows what was live at its cursor.
    fn check_directory(&mut self, vm: usize, at: Cursor) {
        let own = &self.vms[vm];
        let Some(directory) = own.replica.directory() else { return };
        let last = own.read_at.get(&at.epoch.number()).map_or(at.revision, |read_at| at.revision.max(*read_at));
        let shown = (at.revision..=last).filter_map(|revision| self.history.get(&(at.epoch.number(), revision)));
        let states = shown.map(AsRef::as_ref).collect::<Vec<&State>>();
        let fault = match states.first() {
            Some(first) => match first.gateways.get(&own.gateway) {
                Some(gateway) => differs(directory, &states, &first.scope(&gateway.serves)),
                // It is about to be told that its gateway is gone.
                None => None,
            },
            None => Some("nothing was ever committed there".to_owned()),
        };
        if let Some(fault) = fault {
            self.break_law(Law::ShowsItsCursor, format!("vm {vm} at {at:?}: {fault}"));
        }
    }

    /// Whether one worker keeps what receipts have promised.
    fn check_promises(&mut self, vm: usize) {
        let Some(at) = self.vms[vm].serves(self.now) else { return };
        let keeps = |promise: &Promise| {
            let is_later = (at.epoch.number(), at.revision) >= (promise.at.epoch.number(), promise.at.revision);
            is_later || promise.from > self.now || promise.excused.contains(&vm)
        };
        if let Some(promise) = self.promises.iter().find(|promise| !keeps(promise)) {
            let how = format!("vm {vm} serves {at:?} in spite of {promise:?}");
            self.break_law(promise.law, how);
        }
    }

    /// Whether all workers keep what receipts have promised.
    pub(crate) fn check_promises_of_all(&mut self) {
        for vm in 0..self.vms.len() {
            self.watch_staleness(vm);
            self.check_promises(vm);
        }
    }

    /// Remembers what a receipt promises, unless another one says as much.
    pub(crate) fn promise(&mut self, new: Promise) {
        let says_as_much = |old: &Promise, new: &Promise| {
            old.at.epoch == new.at.epoch
                && old.at.revision >= new.at.revision
                && old.from <= new.from
                && old.excused.is_subset(&new.excused)
        };
        if self.promises.iter().any(|old| says_as_much(old, &new)) {
            return;
        }
        self.promises.retain(|old| !says_as_much(&new, old));
        self.promises.push(new);
    }

    /// The workers that need not count now: those that were forgotten by rule and have not polled since.
    pub(crate) fn excused(&self) -> BTreeSet<usize> {
        let vms = self.vms.iter().enumerate();
        vms.filter(|(_, vm)| vm.is_forgotten).map(|(place, _)| place).collect()
    }
}

/// How a directory differs from every one of these states, seen through a scope: key by key, API by API, and organization
/// by organization.
fn differs(directory: &Directory, states: &[&State], scope: &Scope) -> Option<String> {
    let secrets = states.iter().flat_map(|state| state.keys.keys()).collect::<BTreeSet<_>>();
    let mut live = 0;
    for secret in secrets {
        let shown = shown_key(directory, secret);
        live += usize::from(shown.is_some());
        let told = |state: &&&State| {
            let key = state.keys.get(secret).filter(|key| scope.has_key(&Reach::from(&***key)));
            key.map(|key| (**key).clone()) == shown
        };
        if !states.iter().any(|state| told(&state)) {
            return Some(format!("it shows {shown:?} for {}", Digest::from_bytes(*secret)));
        }
    }
    if live != directory.keys.len() {
        return Some(format!("it shows {} keys, {live} of which were live", directory.keys.len()));
    }
    let apis = directory.apis.records().map(|api| (api.id, api)).collect::<BTreeMap<_, _>>();
    let ids = states.iter().flat_map(|state| state.apis.keys()).chain(apis.keys()).collect::<BTreeSet<_>>();
    for id in ids {
        let shown: Option<&ApiRecord> = apis.get(id).copied();
        let told = |state: &&State| state.apis.get(id).map(AsRef::as_ref).filter(|_| scope.has_api(*id)) == shown;
        if !states.iter().any(told) {
            return Some(format!("it shows {shown:?} for {id}"));
        }
    }
    let organizations = states.iter().flat_map(|state| &state.over_budget).chain(&directory.over_budget);
    for id in organizations.collect::<BTreeSet<_>>() {
        let shown = directory.is_over_budget(*id);
        if !states.iter().any(|state| state.over_budget.contains(id) == shown) {
            return Some(format!("it shows {shown} for the budget of {id}"));
        }
    }
    None
}

fn shown_key(directory: &Directory, secret: &Secret) -> Option<KeyRecord> {
    let digest = Digest::from_bytes(*secret);
    let found = directory.keys.find(&digest)?;
    Some(KeyRecord {
        id: found.id,
        digest,
        kind: found.rights.kind,
        organization: found.owner.organization,
        user: found.owner.user,
        expires_at_ms: None,
        apis: found.rights.apis.as_deref().map(<[_]>::to_vec),
        rate_limited: found.rights.rate_limited,
        over_budget: found.rights.over_budget,
    })
}
