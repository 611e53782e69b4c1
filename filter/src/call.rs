//! What is still to be done for a request that a rate limit has let pass: its response says how much is left.
//!
//! The counters are in Envoy's shared data, so that all workers count together and a worker that is loaded anew goes on
//! where the one before it was (`portcullis_core::limit`).

use std::sync::Arc;

use portcullis_core::decide::Admission;
use portcullis_core::limit::{Answer, Limits, Shared, Standing};

use crate::host::{self, Map};
use crate::worker::Worker;

/// Where the workers of this Envoy keep the counters. A change of their form must change the name.
const COUNTERS: &str = "portcullis.limits.1.";

/// Envoy's shared data.
pub struct SharedValues;

impl Shared for SharedValues {
    fn read(&self, slot: u32) -> Option<(Vec<u8>, u32)> {
        host::shared_data(&name_of(slot))
    }

    fn write(&self, slot: u32, value: &[u8], version: Option<u32>) -> bool {
        host::set_shared_data(&name_of(slot), value, version)
    }
}

fn name_of(slot: u32) -> String {
    format!("{COUNTERS}{slot}")
}

/// A limited request on its way.
#[derive(Debug)]
pub struct Call {
    limits: Arc<Limits>,
    standing: Standing,
}

/// What the limits of an API say to a request.
#[derive(Debug)]
pub enum Limited {
    /// It passes; no limit holds it if there is no call.
    Passes(Option<Box<Call>>),
    /// It does not.
    Refused(Arc<Limits>, Standing),
    /// Nobody knows.
    Unknown,
}

impl Call {
    /// Asks the limits.
    pub fn admit(worker: &mut Worker, admission: &Admission) -> Limited {
        let Some(limits) = &admission.limits else {
            return Limited::Passes(None);
        };
        let counted = admission.counted(limits);
        let answer = worker.limiter.admit(&SharedValues, limits, counted, host::monotonic_ns());
        let limits = Arc::clone(limits);
        if let Answer::Passes(standing) | Answer::Refused(standing) = &answer
            && standing.would_refuse(&limits)
        {
            worker.metrics.count_observed(admission.api);
        }
        match answer {
            Answer::Passes(standing) => Limited::Passes(Some(Box::new(Self { limits, standing }))),
            Answer::Refused(standing) => Limited::Refused(limits, standing),
            Answer::Unknown => Limited::Unknown,
        }
    }

    /// Tells the caller how the limits stand.
    pub fn answer(&self) {
        for (name, value) in self.standing.headers(&self.limits) {
            host::set_header(Map::ResponseHeaders, name, &value);
        }
    }
}
