//! What a control plane does by itself, as `control-plane/src/fleet/keeper.rs` and `storage/news.rs` do: it looks at the
//! database, stores what it has heard of workers, fetches what others have, and forgets who is silent.

use std::rc::Rc;

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::Worker;

use crate::clock::MS;
use crate::control::{Heard, Unavailable};
use crate::coverage::Thing;
use crate::laws::Law;
use crate::stored::Row;
use crate::worker::Vm;
use crate::world::{Event, World};

/// How often the database is looked at. The other duties come every so many times.
const TICK_MS: u64 = 500;
const SAVE_TICKS: u64 = 10;
const FORGET_TICKS: u64 = 30;
/// How long a worker must be silent before it may be forgotten: what the rule says, and not what the code does.
const SILENCE_US: u64 = 600_000_000;

impl World {
    /// What a control plane does now and then.
    pub(crate) fn tick(&mut self, control: usize, process: u64, count: u64) {
        if !self.control[control].is(process) {
            return;
        }
        self.after(TICK_MS * MS, Event::Tick { control, process, count: count + 1 });
        // Each fails while the database is out of reach, and is tried again the next time.
        let _ = self.look(control);
        if count.is_multiple_of(self.plan.fetch_ticks) && self.is_shared() {
            let _ = self.fetch(control);
        }
        if count.is_multiple_of(SAVE_TICKS) {
            let _ = self.save(control);
        }
        if count.is_multiple_of(FORGET_TICKS) {
            let _ = self.forget_silent(control);
        }
    }

    /// Whether several control planes may share the database.
    pub(crate) const fn is_shared(&self) -> bool {
        self.plan.control_planes > 1
    }

    /// Stores what a control plane has heard of workers, and tells the others.
    pub(crate) fn save(&mut self, control: usize) -> Result<(), Unavailable> {
        if self.is_cut(control) {
            return Err(Unavailable);
        }
        let own = &mut self.control[control];
        let rows = own.fleet.unsaved();
        if rows.is_empty() {
            return Ok(());
        }
        own.fleet.stored(&rows);
        let process = own.process.unwrap_or(0);
        for unsaved in rows {
            let place = (unsaved.gateway, unsaved.worker.name.clone());
            let heard = self.control[control].heard.get(&place).map_or(0, |heard| heard.polls);
            let row = Row { worker: unsaved.worker, saved_by: process, heard };
            let stored = self.database.workers.get(&place).map_or_else(|| row.clone(), |old| old.overwritten_by(&row));
            self.database.workers.insert(place, stored);
            self.count_again(&row);
        }
        self.database.workers_written += 1;
        for other in (0..self.control.len()).filter(|other| *other != control) {
            self.tell(other, |control, process| Event::Fetch { control, process });
        }
        Ok(())
    }

    /// A worker that was forgotten counts again once a later poll of it is stored.
    fn count_again(&mut self, row: &Row) {
        let polled =
            |vm: &&mut Vm| vm.is_forgotten && vm.name == row.worker.name && row.heard > vm.heard_when_forgotten;
        if let Some(vm) = self.vms.iter_mut().find(polled) {
            vm.is_forgotten = false;
            self.count(Thing::HeardAgain);
        }
    }

    /// Notifies a control plane of something, which may be lost.
    pub(crate) fn tell(&mut self, other: usize, event: impl FnOnce(usize, u64) -> Event) {
        if !self.is_quiet && self.random.chance(self.plan.unheard) {
            self.count(Thing::Unheard);
        } else if let Some(process) = self.control[other].process {
            let delay = self.random.between(100, 20 * MS);
            self.after(delay, event(other, process));
        }
    }

    /// Fetches what others have stored of workers.
    pub(crate) fn fetch(&mut self, control: usize) -> Result<(), Unavailable> {
        if self.is_cut(control) {
            return Err(Unavailable);
        }
        let (now, written) = (self.now, self.database.workers_written);
        let own = &mut self.control[control];
        let now_us = own.clock.us(now);
        if std::mem::replace(&mut own.fetched, written) == written {
            return Ok(());
        }
        for ((gateway, name), row) in &self.database.workers {
            if Some(row.saved_by) == own.process {
                continue;
            }
            own.fleet.merge(*gateway, row.worker.clone(), now_us);
            let heard = own.heard.entry((*gateway, name.clone())).or_insert(Heard { at: now, polls: 0 });
            if row.heard > heard.polls {
                *heard = Heard { at: now, polls: row.heard };
            }
        }
        Ok(())
    }

    /// Forgets who has been silent for too long, and looks whether a restored database has settled.
    pub(crate) fn forget_silent(&mut self, control: usize) -> Result<(), Unavailable> {
        let own = &mut self.control[control];
        let now_us = own.clock.us(self.now);
        let silent = own.fleet.forget_silent(now_us);
        if self.is_cut(control) {
            let own = &mut self.control[control];
            silent.into_iter().for_each(|(gateway, worker)| own.fleet.merge(gateway, worker, now_us));
            return Err(Unavailable);
        }
        for (gateway, worker) in silent {
            self.check_silence(control, gateway, &worker);
            self.forget(gateway, &worker);
            self.count(Thing::Forgotten);
        }
        let own = &mut self.control[control];
        if own.fleet.settle(now_us) {
            self.settle(control);
        }
        Ok(())
    }

    /// Takes a worker out of the database, unless somebody has heard it since.
    pub(crate) fn forget(&mut self, gateway: GatewayId, worker: &Worker) {
        let place = (gateway, worker.name.clone());
        let row = self.database.workers.get(&place);
        if row.is_some_and(|row| row.worker.polls > worker.polls) {
            return;
        }
        self.database.workers.remove(&place);
        if let Some(vm) = self.vms.iter_mut().find(|vm| vm.name == worker.name) {
            vm.forget();
        }
    }

    fn check_silence(&mut self, control: usize, gateway: GatewayId, worker: &Worker) {
        let own = &self.control[control];
        let last = own.heard.get(&(gateway, worker.name.clone())).map_or(own.started, |heard| heard.at);
        let silent_us = own.clock.us(self.now).saturating_sub(own.clock.us(last.max(own.started)));
        if silent_us <= SILENCE_US {
            let how = format!("worker {} was forgotten after {silent_us} µs of silence", worker.name);
            self.break_law(Law::ForgottenByRule, how);
        }
    }

    /// The database counts as settled: whoever is not stored now has not been heard since the restore.
    fn settle(&mut self, control: usize) {
        let own = &self.control[control];
        let listened_us = own.clock.us(self.now).saturating_sub(own.clock.us(own.started));
        if listened_us < SILENCE_US {
            let how = format!("the database settled after {listened_us} µs");
            self.break_law(Law::ForgottenByRule, how);
        }
        self.database.settled = true;
        self.count(Thing::Settled);
        let database = &self.database;
        for vm in &mut self.vms {
            if !database.workers.contains_key(&(vm.gateway, vm.name.clone())) {
                vm.forget();
            }
        }
    }

    /// Remembers what is live at the newest revision.
    pub(crate) fn remember(&mut self) {
        let place = (self.database.epoch.number(), self.database.revision);
        self.history.insert(place, Rc::clone(&self.database.state));
    }
}
