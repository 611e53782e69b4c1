//! `/v1/gateways/{id}/workers`: saying that a worker is gone.

pub mod delete;
