//! Calls without end through several Envoys, each with one of a changing set of keys, and two laws about them:
//!
//! - a key whose issue was complete, and whose deletion was not asked for yet, opens;
//! - a call that was sent after the complete receipt of its key's deletion had come is refused.
//!
//! The first is checked with every answer, the second when all is over, by the instants themselves: of each key the latest
//! sending of a call that was accepted is remembered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::{Client, header};
use tokio::task::JoinSet;

use crate::house::House;
use crate::keys::IssuedKey;
use crate::random::Random;

/// How many callers there are for each Envoy.
const CALLERS_PER_ENVOY: usize = 6;
/// A caller's pause between two calls: what is tested is no benchmark, and shares two cores with who calls.
const PAUSE: Duration = Duration::from_millis(4);
/// After so many calls a caller takes a new connection, as a connection belongs to one of Envoy's workers.
const CALLS_PER_CONNECTION: u64 = 16;
/// How long a call may take. Envoys are frozen and control planes killed, but never for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A key that is called with.
#[derive(Debug)]
pub struct Prey {
    /// The key.
    pub key: IssuedKey,
    /// Set before its deletion is asked for.
    doomed: AtomicBool,
    /// When the complete receipt of its deletion had come.
    closed: OnceLock<Instant>,
    /// The latest sending of a call that was accepted.
    accepted: Mutex<Option<Instant>>,
    /// How many calls were accepted at each Envoy.
    accepted_at: Vec<AtomicU64>,
    /// How many calls were sent after `closed`.
    tried_after: AtomicU64,
}

impl Prey {
    /// Says that its deletion is about to be asked for.
    pub fn doom(&self) {
        self.doomed.store(true, Ordering::SeqCst);
    }

    /// Says when the complete receipt of its deletion had come.
    pub fn close(&self, came: Instant) {
        self.closed.set(came).expect("closed once");
    }

    /// Whether every Envoy has accepted it.
    pub fn is_open_everywhere(&self) -> bool {
        self.accepted_at.iter().all(|count| count.load(Ordering::SeqCst) > 0)
    }
}

/// What was found out in the end.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    /// Calls in all.
    pub calls: u64,
    /// Calls that were accepted.
    pub accepted: u64,
    /// Keys whose deletion was complete.
    pub closed: usize,
    /// Calls with these that were sent after that.
    pub tried_after: u64,
}

/// Callers that call. Dropping it ends them.
#[derive(Debug)]
pub struct Hammer {
    shared: Arc<Shared>,
    callers: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    envoys: usize,
    /// What is called with now.
    current: RwLock<Vec<Arc<Prey>>>,
    /// All that ever was.
    all: Mutex<Vec<Arc<Prey>>>,
    calls: AtomicU64,
    accepted: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Hammer {
    /// Begins to call through the Envoys of these houses. There are no keys yet.
    pub fn swing(houses: &[&House]) -> Self {
        let shared = Arc::new(Shared {
            envoys: houses.len(),
            current: RwLock::default(),
            all: Mutex::default(),
            calls: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            wrong: Mutex::default(),
        });
        let (mut callers, mut random) = (JoinSet::new(), Random::new(1));
        for (envoy, house) in houses.iter().enumerate() {
            let url = format!("{}/v1/models", house.envoy().url());
            for _ in 0..CALLERS_PER_ENVOY {
                let http = Client::builder().no_proxy().pool_max_idle_per_host(1).timeout(PATIENCE).build();
                let http = http.expect("an HTTP client");
                let caller = Caller { shared: Arc::clone(&shared), envoy, url: url.clone(), http };
                callers.spawn(caller.run(random.branch()));
            }
        }
        Self { shared, callers }
    }

    /// A key that may be called with. Its issue is complete.
    pub fn prey(&self, key: IssuedKey) -> Arc<Prey> {
        let prey = Arc::new(Prey {
            key,
            doomed: AtomicBool::new(false),
            closed: OnceLock::new(),
            accepted: Mutex::default(),
            accepted_at: (0..self.shared.envoys).map(|_| AtomicU64::new(0)).collect(),
            tried_after: AtomicU64::new(0),
        });
        self.shared.all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&prey));
        prey
    }

    /// Has all callers call with these keys from now on.
    pub fn aim(&self, prey: Vec<Arc<Prey>>) {
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = prey;
    }

    /// Waits until each of these was accepted by every Envoy.
    pub async fn wait_until_open(&self, prey: &[Arc<Prey>]) {
        let start = Instant::now();
        while !prey.iter().all(|prey| prey.is_open_everywhere()) {
            self.assert_no_wrong();
            assert!(start.elapsed() < PATIENCE, "some key opens nothing");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Fails if a key was refused that should open.
    pub fn assert_no_wrong(&self) {
        let wrong = self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(wrong.is_empty(), "{} calls were answered wrongly, such as: {}", wrong.len(), wrong[0]);
    }

    /// Stops, and checks both laws.
    pub async fn stop(mut self) -> Tally {
        self.callers.shutdown().await;
        self.assert_no_wrong();
        let all = self.shared.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tally = Tally {
            calls: self.shared.calls.load(Ordering::SeqCst),
            accepted: self.shared.accepted.load(Ordering::SeqCst),
            closed: 0,
            tried_after: 0,
        };
        for prey in all.iter() {
            let Some(closed) = prey.closed.get() else { continue };
            let accepted = *prey.accepted.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(late) = accepted.and_then(|accepted| accepted.checked_duration_since(*closed)) {
                panic!("{} was accepted by a call sent {late:?} after its complete receipt", prey.key.id);
            }
            tally.closed += 1;
            tally.tried_after += prey.tried_after.load(Ordering::SeqCst);
        }
        tally
    }
}

/// Who calls through one Envoy, one call after the other.
#[derive(Debug)]
struct Caller {
    shared: Arc<Shared>,
    envoy: usize,
    url: String,
    http: Client,
}

impl Caller {
    async fn run(self, mut random: Random) {
        let mut calls = 0_u64;
        loop {
            tokio::time::sleep(PAUSE).await;
            let Some(prey) = self.shared.any(&mut random) else { continue };
            calls += 1;
            let mut request = self.http.get(&self.url).bearer_auth(&prey.key.secret);
            if calls.is_multiple_of(CALLS_PER_CONNECTION) {
                request = request.header(header::CONNECTION, "close");
            }
            let sent = Instant::now();
            match request.send().await {
                Ok(answer) => self.note(&prey, sent, answer.status().as_u16()),
                Err(error) => self.shared.complain(format!("no answer from Envoy {}: {error:?}", self.envoy)),
            }
        }
    }

    fn note(&self, prey: &Prey, sent: Instant, status: u16) {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if prey.closed.get().is_some_and(|closed| sent > *closed) {
            prey.tried_after.fetch_add(1, Ordering::SeqCst);
        }
        match status {
            200 => {
                self.shared.accepted.fetch_add(1, Ordering::SeqCst);
                prey.accepted_at[self.envoy].fetch_add(1, Ordering::SeqCst);
                let mut latest = prey.accepted.lock().unwrap_or_else(PoisonError::into_inner);
                *latest = (*latest).max(Some(sent));
            }
            401 if prey.doomed.load(Ordering::SeqCst) => {}
            other => self.shared.complain(format!("{} got {other} from Envoy {}", prey.key.id, self.envoy)),
        }
    }
}

impl Shared {
    fn any(&self, random: &mut Random) -> Option<Arc<Prey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let place = random.below(u64::try_from(current.len().max(1)).expect("a count"));
        current.get(usize::try_from(place).expect("a place")).cloned()
    }

    fn complain(&self, complaint: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
    }
}
