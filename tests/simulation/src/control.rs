//! A control plane: what is around the functions of `portcullis_core::push`, with its database and its network in
//! memory.

use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::{Fleet, SILENCE_US_MAX};
use portcullis_core::wire::{Epoch, Revision};

use crate::asking::{Asking, Snapshot, Stage};
use crate::clock::{Instant, MS, Monotonic, Wall};
use crate::database::Gateway;
use crate::random::Random;
use crate::world::{Event, World};

/// What a control plane last heard from its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) revision: Revision,
    pub(crate) gateway_changes: u64,
}

/// A control plane.
pub(crate) struct ControlPlane {
    /// The process that is running, if one is.
    pub(crate) process: Option<u64>,
    pub(crate) clock: Monotonic,
    pub(crate) wall: Wall,
    pub(crate) epoch: Epoch,
    pub(crate) news: News,
    /// The database showed `news` at this instant of the monotonic clock or later.
    pub(crate) looked_at_us: u64,
    pub(crate) fleet: Fleet,
    /// What the simulation knows of whom this process has heard, and when.
    pub(crate) heard: BTreeMap<(GatewayId, String), Heard>,
    pub(crate) started: Instant,
    pub(crate) cut_until: Instant,
    /// The writes of workers that it has fetched.
    pub(crate) fetched: u64,
    gateways: (u64, BTreeMap<GatewayId, Rc<Gateway>>),
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) polls: BTreeMap<u64, Asking>,
}

/// When a process last heard of a worker, and the number of its latest poll.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) polls: u64,
}

/// A poll that cannot be answered.
pub(crate) struct Unavailable;

impl ControlPlane {
    /// One that has not started.
    pub(crate) fn down(epoch: Epoch, random: &mut Random) -> Self {
        Self {
            process: None,
            clock: Monotonic::from_zero(0, random),
            wall: Wall::right(),
            epoch,
            news: News { revision: 0, gateway_changes: 0 },
            looked_at_us: 0,
            fleet: Fleet::new(epoch, None),
            heard: BTreeMap::new(),
            started: 0,
            cut_until: 0,
            fetched: 0,
            gateways: (0, BTreeMap::new()),
            snapshots: Vec::new(),
            polls: BTreeMap::new(),
        }
    }

    /// Whether this process is running.
    pub(crate) fn is(&self, process: u64) -> bool {
        self.process == Some(process)
    }
}

impl World {
    /// Whether a control plane reaches its database.
    pub(crate) fn is_cut(&self, control: usize) -> bool {
        self.control[control].cut_until > self.now
    }

    /// Starts a control plane on what the database holds.
    pub(crate) fn start(&mut self, control: usize) {
        let process = self.new_number();
        let mut new = ControlPlane::down(self.database.epoch, &mut self.random);
        new.clock = Monotonic::from_zero(self.now, &mut self.random);
        new.wall = self.control[control].wall;
        new.process = Some(process);
        new.started = self.now;
        new.news = News { revision: self.database.revision, gateway_changes: self.database.gateway_changes };
        new.fleet = Fleet::new(self.database.epoch, (!self.database.settled).then_some(SILENCE_US_MAX));
        new.fleet.note(self.database.revision, 0);
        for ((gateway, name), row) in &self.database.workers {
            new.fleet.merge(*gateway, row.worker.clone(), 0);
            new.heard.insert((*gateway, name.clone()), Heard { at: self.now, polls: row.heard });
        }
        self.control[control] = new;
        self.note(
            "control plane {} starts as process {} in epoch {} at {}",
            &[control as u64, process, self.database.epoch.number(), self.database.revision],
        );
        self.after(500 * MS, Event::Tick { control, process, count: 1 });
    }

    /// Takes note of what the database shows, or showed at `looked_at_us`.
    pub(crate) fn publish(&mut self, control: usize, news: News, looked_at_us: u64) {
        let now = self.now;
        let own = &mut self.control[control];
        let before = own.news;
        own.news.revision = before.revision.max(news.revision);
        own.news.gateway_changes = before.gateway_changes.max(news.gateway_changes);
        own.looked_at_us = own.looked_at_us.max(looked_at_us);
        own.fleet.note(own.news.revision, own.clock.us(now));
        if own.news != before {
            let is_held = |asking: &Asking| matches!(asking.stage, Stage::Hold { .. });
            let held = own.polls.iter().filter(|(_, asking)| is_held(asking)).map(|(poll, _)| *poll);
            for poll in held.collect::<Vec<_>>() {
                self.step_soon(control, poll);
            }
        }
    }

    /// Looks at the control row.
    pub(crate) fn look(&mut self, control: usize) -> Result<(), Unavailable> {
        if self.is_cut(control) {
            return Err(Unavailable);
        }
        let news = News { revision: self.database.revision, gateway_changes: self.database.gateway_changes };
        let looked_at_us = self.control[control].clock.us(self.now);
        self.publish(control, news, looked_at_us);
        Ok(())
    }

    /// The gateway with this id, no older than when the feed said `gateway_changes`.
    pub(crate) fn gateway(
        &mut self,
        control: usize,
        id: GatewayId,
        gateway_changes: u64,
    ) -> Result<Option<Rc<Gateway>>, Unavailable> {
        let own = &self.control[control].gateways;
        if own.0 >= gateway_changes
            && let Some(known) = own.1.get(&id)
        {
            return Ok(Some(Rc::clone(known)));
        }
        let found = self.read_gateway(control, id)?;
        let own = &mut self.control[control].gateways;
        if own.0 < gateway_changes {
            *own = (gateway_changes, BTreeMap::new());
        }
        if own.0 == gateway_changes
            && let Some(found) = &found
        {
            own.1.insert(id, Rc::clone(found));
        }
        Ok(found)
    }

    /// The gateway with this id, as the database has it now.
    pub(crate) fn read_gateway(&self, control: usize, id: GatewayId) -> Result<Option<Rc<Gateway>>, Unavailable> {
        if self.is_cut(control) {
            return Err(Unavailable);
        }
        Ok(self.database.state.gateways.get(&id).cloned().map(Rc::new))
    }
}
