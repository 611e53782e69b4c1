//! What the control plane is about: keys, APIs, organizations, gateways, and the rules they keep.
//!
//! Nothing here knows HTTP or SQL. A value of these types has been checked; whatever comes from outside is
//! parsed into them first, and only then acted upon. Time and randomness enter through [`environment`].

pub mod actor;
pub mod advice;
pub mod api;
pub mod audit;
pub mod authority;
pub mod budget;
pub mod cost;
pub mod environment;
pub mod fault;
pub mod feed;
pub mod gateway;
pub mod key;
pub mod name;
pub mod organization;
pub mod password;
pub mod period;
pub mod public_url;
pub mod rate_limit;
pub mod throttle;
pub mod timestamp;
pub mod usage_query;
pub mod user;
