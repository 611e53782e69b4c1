//! The bugs that are planted: one change each, of a text that stands once in a file.

/// A bug.
#[derive(Debug)]
pub struct Bug {
    /// What is wrong with it.
    pub name: &'static str,
    /// Where it is planted.
    pub file: &'static str,
    /// What stands there.
    pub old: &'static str,
    /// What stands there instead.
    pub new: &'static str,
}

const SYNC: &str = "filter/core/src/sync.rs";
const DIRECTORY: &str = "filter/core/src/directory.rs";
const COPY: &str = "filter/core/src/sync/copy.rs";
const INTAKE: &str = "filter/core/src/sync/intake.rs";
const CONTACT: &str = "filter/core/src/sync/contact.rs";
const PAGE: &str = "filter/core/src/wire/page.rs";
const POLL: &str = "filter/core/src/wire/poll.rs";
const ANSWER: &str = "filter/core/src/push/answer.rs";
const DELTA: &str = "filter/core/src/push/delta.rs";
const REACH: &str = "filter/core/src/push/reach.rs";
const FLEET: &str = "filter/core/src/push/fleet.rs";
const CONTROL: &str = "tests/simulation/src/control.rs";
const RECEIPTS: &str = "tests/simulation/src/receipts.rs";

/// All of them.
pub const BUGS: &[Bug] = &[
    Bug {
        name: "a worker applies a delta that leaves a gap",
        file: COPY,
        old: "from == self.at && to >= from.revision",
        new: "from.epoch == self.at.epoch && to >= from.revision",
    },
    Bug {
        name: "a worker takes the answer to an earlier poll",
        file: SYNC,
        old: "if page.header().poll != sent.poll.number {",
        new: "if page.header().poll > sent.poll.number {",
    },
    Bug {
        name: "a worker takes a damaged page",
        file: PAGE,
        old: "(crc32 == format!(\"{:08x}\", crc32fast::hash(content))).then_some(content).ok_or(PageError::Damaged)",
        new: "Ok(content).inspect(|_| drop(crc32))",
    },
    Bug {
        name: "a worker serves a snapshot without catching up",
        file: INTAKE,
        old: "Content::Snapshot { .. } => staging.complete_part(),",
        new: "Content::Snapshot { .. } => {
                staging.complete_part();
                if matches!(staging.next_ask(), Ask::CatchUp { .. }) {
                    return self.swap_in(staging.copy).map(|()| None);
                }
            }",
    },
    Bug {
        name: "a worker serves a snapshot while there is more to catch up",
        file: INTAKE,
        old: "if !more {",
        new: "if !more || to > 0 {",
    },
    Bug {
        name: "a worker follows a database that went back",
        file: INTAKE,
        old: "&& serving.at.revision > copy.at.revision",
        new: "&& serving.at.revision > copy.at.revision.saturating_add(1_000)",
    },
    Bug {
        name: "a worker compares revisions of two epochs",
        file: INTAKE,
        old: "&& serving.at.epoch == copy.at.epoch",
        new: "",
    },
    Bug {
        name: "contact is counted from the arrival of an answer",
        file: SYNC,
        old: "Contact::new(header.epoch, sent.at_ms, header.lease)",
        new: "Contact::new(header.epoch, arrived_ms, header.lease)",
    },
    Bug {
        name: "a delta with more to come counts as contact",
        file: SYNC,
        old: "Content::Delta { more: false, .. } => {",
        new: "Content::Delta { .. } => {",
    },
    Bug {
        name: "the age of what a control plane knows is ignored",
        file: CONTACT,
        old: "lease.map_or(0, |lease| lease.age_ms)",
        new: "lease.map_or(0, |_| 0)",
    },
    Bug {
        name: "an answer that proves nothing lengthens a bound",
        file: SYNC,
        old: "bounds_ms.into_iter().flatten().min()",
        new: "bounds_ms.into_iter().last().flatten()",
    },
    Bug {
        name: "a stale worker serves on",
        file: SYNC,
        old: "Some(staleness_ms) if staleness_ms <= max_staleness_ms => Serving::Current(directory),",
        new: "Some(staleness_ms) if staleness_ms <= max_staleness_ms.saturating_mul(2) => Serving::Current(directory),",
    },
    Bug {
        name: "deltas leave deletions of keys out",
        file: DELTA,
        old: "held.then_some(Record::DeleteKey(digest))",
        new: "(held && self.scope != Scope::Everything).then_some(Record::DeleteKey(digest))",
    },
    Bug {
        name: "deltas say once that a budget is used up, and never that there is a new one",
        file: DELTA,
        old: "is_new.then_some(if over_budget { Record::OverBudget(id) } else { Record::WithinBudget(id) })",
        new: "(is_new && over_budget).then_some(Record::OverBudget(id))",
    },
    Bug {
        name: "a worker takes a new budget for a used up one",
        file: DIRECTORY,
        old: "Record::WithinBudget(organization) => _ = self.over_budget.remove(&organization),",
        new: "Record::WithinBudget(organization) => _ = self.over_budget.insert(organization),",
    },
    Bug {
        name: "a delta ends inside a revision",
        file: DELTA,
        old: "Room::Full => true,",
        new: "Room::Full => {
                self.to = self.current;
                self.whole = self.records.len();
                true
            }",
    },
    Bug {
        name: "a key that leaves a gateway's reach stays there",
        file: DELTA,
        old: "before.is_some_and(|before| self.scope.has_key(before))",
        new: "before.is_none()",
    },
    Bug {
        name: "the first change after a revision is taken for all that a worker may hold",
        file: DELTA,
        old: "let told = self.told_of_key(digest, before.as_ref(), now)?;
                self.told_keys.insert(*digest.as_bytes());
                Some(told)",
        new: "self.told_keys.insert(*digest.as_bytes());
                self.told_of_key(digest, before.as_ref(), now)",
    },
    Bug {
        name: "an API that is gone is overlooked",
        file: REACH,
        old: "!served.iter().all(|id| self.has_api(*id))",
        new: "served.iter().all(|id| !self.has_api(*id)) && !served.is_empty()",
    },
    Bug {
        name: "a gateway's new scope does not make its workers start over",
        file: ANSWER,
        old: "self.scope_revision.max(self.pruned)",
        new: "self.pruned",
    },
    Bug {
        name: "newcomers begin to serve without a look at the database",
        file: ANSWER,
        old: "(is_newcomer || is_promised || from > head)",
        new: "(is_promised || from > head)",
    },
    Bug {
        name: "a bound is lengthened without a look at the database",
        file: ANSWER,
        old: "(is_newcomer || is_promised || from > head)",
        new: "(is_newcomer || from > head)",
    },
    Bug {
        name: "a receipt counts a worker that has only loaded a snapshot",
        file: POLL,
        old: "Self::After { cursor, .. } => Some(cursor),
            Self::Everything | Self::Part { .. } | Self::CatchUp { .. } => None,",
        new: "Self::After { cursor: at, .. } | Self::Part { at, .. } | Self::CatchUp { at } => Some(at),
            Self::Everything => None,",
    },
    Bug {
        name: "a receipt compares revisions of two epochs",
        file: FLEET,
        old: "applied.epoch == self.epoch && applied.revision >= revision",
        new: "applied.revision >= revision",
    },
    Bug {
        name: "a receipt does not wait for unknown workers after a restore",
        file: FLEET,
        old: "Self { epoch, settles_at_us, workers: BTreeMap::new(), known: Known::new(), version: 0 }",
        new: "Self {
            epoch,
            settles_at_us: if settles_at_us.is_some() { Some(1) } else { None },
            workers: BTreeMap::new(),
            known: Known::new(),
            version: 0,
        }",
    },
    Bug {
        name: "workers count as stopped too early",
        file: FLEET,
        old: "bound_ms.saturating_mul(1_000).saturating_add(bound_ms).saturating_add(STOP_MARGIN_US)",
        new: "bound_ms.saturating_mul(800).saturating_add(STOP_MARGIN_US)",
    },
    Bug {
        name: "the bound that an answer carries is not counted",
        file: FLEET,
        old: "worker.bound_ms = longer(reported_bound_ms, answered_bound_ms);",
        new: "worker.bound_ms = reported_bound_ms.or(answered_bound_ms);",
    },
    Bug {
        name: "a poll that arrives late shortens the bound that counts",
        file: FLEET,
        old: "if polling.polls <= before.polls {",
        new: "if polling.polls < before.polls.saturating_sub(1_000) {",
    },
    Bug {
        name: "a worker is forgotten too early",
        file: FLEET,
        old: "const SILENCE_US_MAX: u64 = 600_000_000;",
        new: "const SILENCE_US_MAX: u64 = 590_000_000;",
    },
    Bug {
        name: "silence counts from before a control plane started to listen",
        file: FLEET,
        old: "worker: stored,
                    heard_us: monotonic_us,",
        new: "worker: stored,
                    heard_us: 0,",
    },
    Bug {
        name: "what others have heard is put in order by their wall clocks",
        file: FLEET,
        old: "if stored.polls > known.polls {",
        new: "if stored.last_seen_ms > known.last_seen_ms {",
    },
    Bug {
        name: "a restarted control plane knows no workers",
        file: CONTROL,
        old: "new.fleet.merge(*gateway, row.worker.clone(), 0);",
        new: "let _ = row;",
    },
    Bug {
        name: "a receipt does not ask what other control planes have heard",
        file: RECEIPTS,
        old: "self.fetch(control).ok()?;",
        new: "let _ = control;",
    },
];
