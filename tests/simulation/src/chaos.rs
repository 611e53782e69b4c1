//! What breaks, and becomes whole again.

use portcullis_core::id::GatewayId;
use portcullis_core::wire::Epoch;

use crate::clock::{Instant, MINUTE, MS, SECOND};
use crate::coverage::Thing;
use crate::world::{Event, Heal, World};

impl World {
    /// What there is at first.
    pub(crate) fn begin(&mut self) {
        self.furnish();
        for control in 0..self.control.len() {
            self.start(control);
        }
        for _ in 0..self.plan.workers {
            let gateway = GatewayId::from_number(self.random.between(1, 3));
            let delay = self.random.below(2 * SECOND);
            self.after(delay, Event::Heal(Heal::Birth(gateway)));
        }
        self.after(0, Event::Write);
        if let Some(mean) = self.plan.faults_every {
            let first = self.random.around(mean);
            self.after(first, Event::Fault);
        }
    }

    /// Something breaks.
    pub(crate) fn break_something(&mut self) {
        let Some(mean) = self.plan.faults_every.filter(|_| !self.is_quiet) else {
            return;
        };
        let next = self.random.around(mean) + 50 * MS;
        self.after(next, Event::Fault);
        match self.random.below(100) {
            0..22 => self.partition(),
            22..40 => self.kill(),
            40..55 => self.crash(),
            55..67 => self.cut(),
            67..75 => self.back_up(),
            75..82 => self.restore(),
            82..89 => self.go_back(),
            89..94 => self.prune(),
            94..97 => self.forget_by_operator(),
            _ => self.set_wall_clock(),
        }
    }

    /// A time for something to be broken: short or long, and now and then longer than silence is tolerated.
    fn outage(&mut self) -> Instant {
        if self.plan.is_long && self.random.chance(350) {
            return self.random.between(10 * MINUTE, 13 * MINUTE);
        }
        let mean = self.random.one_of(&[300 * MS, 3 * SECOND, 25 * SECOND]).unwrap_or(SECOND);
        self.random.around(mean)
    }

    fn living(&self) -> Vec<usize> {
        (0..self.vms.len()).filter(|vm| self.vms[*vm].is_alive).collect()
    }

    fn partition(&mut self) {
        let living = self.living();
        let Some(vm) = self.random.one_of(&living) else { return };
        let outage = self.outage();
        self.note("vm {} is partitioned for {} µs", &[vm as u64, outage]);
        self.vms[vm].partitioned_until = self.now + outage;
        self.count(if outage > 10 * MINUTE { Thing::LongPartition } else { Thing::Partition });
    }

    /// A virtual machine dies and starts anew, under another name. While the database has gone back there is no telling
    /// what a new one would be served.
    fn kill(&mut self) {
        let living = self.living();
        let Some(vm) = self.random.one_of(&living).filter(|_| self.gone_back_from.is_none()) else { return };
        self.note("vm {} dies", &[vm as u64]);
        self.vms[vm].is_alive = false;
        self.count(Thing::Death);
        let delay = self.random.around(SECOND);
        self.after(delay, Event::Heal(Heal::Birth(self.vms[vm].gateway)));
    }

    fn crash(&mut self) {
        let Some(control) = self.random.place(self.control.len()) else { return };
        if self.stop(control) {
            self.count(Thing::Crash);
            let outage = self.outage();
            self.after(outage, Event::Heal(Heal::Start(control)));
        }
    }

    /// Stops a control plane, with all its connections. True if it was up.
    fn stop(&mut self, control: usize) -> bool {
        self.note("control plane {} stops", &[control as u64]);
        self.drop_polls(control);
        self.control[control].process.take().is_some()
    }

    fn cut(&mut self) {
        let Some(control) = self.random.place(self.control.len()) else { return };
        let outage = self.outage();
        self.note("control plane {} is cut off for {} µs", &[control as u64, outage]);
        self.control[control].cut_until = self.now + outage;
        self.count(Thing::Cut);
    }

    fn back_up(&mut self) {
        if self.gone_back_from.is_none() {
            self.note("backup at {}", &[self.database.revision]);
            self.backup = Some(self.database.clone());
            self.count(Thing::Backup);
        }
    }

    fn restart_all(&mut self) {
        for control in 0..self.control.len() {
            self.stop(control);
            self.after(100 * MS, Event::Heal(Heal::Start(control)));
        }
    }

    /// The backup becomes the database, in another epoch, while no control plane runs.
    fn restore(&mut self) {
        let Some(backup) = self.backup.clone().filter(|_| self.gone_back_from.is_none()) else { return };
        for control in 0..self.control.len() {
            self.stop(control);
            let outage = self.random.around(SECOND);
            self.after(outage, Event::Heal(Heal::Start(control)));
        }
        let epoch = Epoch::from_number(self.database.epoch.number() + 1);
        self.note("restore of {} as epoch {}", &[backup.revision, epoch.number()]);
        self.database = backup;
        self.database.epoch = epoch;
        self.database.settled = false;
        self.remember();
        self.count(Thing::Restore);
    }

    /// The database is an older one for a while, in the same epoch: what operators must not do. Nothing is written in
    /// that time, the workers are still stored, and none of them relies on a lease: what the older database vouches for is
    /// not so.
    fn go_back(&mut self) {
        let everyone_serves = self.vms.iter().all(|vm| !vm.is_alive || vm.cursor.is_some());
        let Some(backup) = self.backup.clone() else { return };
        let is_done = self.gone_back_from.is_some() || backup.epoch != self.database.epoch;
        if is_done || !everyone_serves || self.plan.is_bounded {
            return;
        }
        self.note("the database goes back to {}", &[backup.revision]);
        let workers = self.database.workers.clone();
        let truth = std::mem::replace(&mut self.database, backup);
        (self.database.workers, self.database.workers_written) = (workers, truth.workers_written);
        self.database.settled = truth.settled;
        self.gone_back_from = Some(truth);
        self.count(Thing::RolledBack);
        self.restart_all();
        let outage = self.random.around(20 * SECOND);
        self.after(outage, Event::Heal(Heal::Database));
    }

    fn prune(&mut self) {
        let kept = self.random.below(12);
        let revision = self.database.revision.saturating_sub(kept);
        self.database.prune(revision);
        self.count(Thing::Pruned);
    }

    /// An operator says that a worker is gone which is.
    fn forget_by_operator(&mut self) {
        let dead = (0..self.vms.len()).filter(|vm| !self.vms[*vm].is_alive).collect::<Vec<_>>();
        let (Some(vm), Some(control)) = (self.random.one_of(&dead), self.random.place(self.control.len())) else {
            return;
        };
        let (gateway, name) = (self.vms[vm].gateway, self.vms[vm].name.clone());
        if self.control[control].process.is_some()
            && !self.is_cut(control)
            && let Some(worker) = self.control[control].fleet.forget(gateway, &name)
        {
            self.forget(gateway, &worker);
            self.count(Thing::ForgottenByOperator);
        }
    }

    fn set_wall_clock(&mut self) {
        let Some(control) = self.random.place(self.control.len()) else { return };
        self.control[control].wall.set(&mut self.random);
        self.count(Thing::WallSet);
    }

    /// Something becomes whole again.
    pub(crate) fn heal(&mut self, heal: &Heal) {
        match heal {
            Heal::Start(control) if self.control[*control].process.is_none() => {
                if self.is_cut(*control) {
                    self.after(SECOND, Event::Heal(Heal::Start(*control)));
                } else {
                    self.start(*control);
                }
            }
            Heal::Start(_) => {}
            Heal::Birth(gateway) if self.gone_back_from.is_some() => {
                self.after(SECOND, Event::Heal(Heal::Birth(*gateway)));
            }
            Heal::Birth(gateway) => self.give_birth(*gateway),
            Heal::Database => {
                if let Some(truth) = self.gone_back_from.take() {
                    self.note("the database is back at {}", &[truth.revision]);
                    let older = std::mem::replace(&mut self.database, truth);
                    (self.database.workers, self.database.workers_written) = (older.workers, older.workers_written);
                    self.database.settled = older.settled;
                    self.restart_all();
                }
            }
        }
    }

    /// Nothing breaks any more, and what is broken becomes whole.
    pub(crate) fn quieten(&mut self) {
        self.is_quiet = true;
        self.heal(&Heal::Database);
        for control in 0..self.control.len() {
            self.control[control].cut_until = 0;
            self.heal(&Heal::Start(control));
        }
        for vm in &mut self.vms {
            vm.partitioned_until = vm.partitioned_until.min(self.now);
        }
    }
}
