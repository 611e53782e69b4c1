//! What the end-to-end tests stand on: a whole house of real parts, and clients that can be impolite.
//!
//! | module | what it gives |
//! |---|---|
//! | [`house`] | a control plane, Envoys and an upstream on free ports, in a folder that goes away |
//! | [`database`] | where a house keeps its data: a SQLite file, or a PostgreSQL database of its own |
//! | [`bulk`] | the same database, written without a control plane |
//! | [`link`] | a network cable that can be slow, silent, broken or cut |
//! | [`keys`] | issuing and deleting keys, and what a call with one gets |
//! | [`hammer`] | calls without end through several Envoys, and what may be said of them |
//! | [`load`] | one request over and over on many connections, and what came of it |
//! | [`chat`] | calls of the sample model |
//! | [`limits`] | APIs with rate limits |
//! | [`usage`] | what was used, as the admin API says it |
//! | [`lossy`] | a way to the sync port on which usage reports and answers to them are lost |
//! | [`pieces`] | an upstream that answers in pieces |
//! | [`receipts`] | deletions, and how far the control plane says they are |
//! | [`sync`] | the sync port, asked as a worker asks |
//! | [`stats`] | Envoy's statistics |
//! | [`ready`] | what workers say once they have every key |
//! | [`raw`] | HTTP/1.1 over a bare socket, byte for byte |
//! | [`measure`] | times in words |
//! | [`machine`] | the machine, for a test alone or shared with others |
//! | [`random`] | numbers that are the same for the same seed |
//! | [`people`] | admins and members, signed in |
//! | [`oidc`] | an OpenID Connect provider that is not ours |
//! | [`browser`] | the console in a real Chromium |
//! | [`office`] | a house after a month of use |
//! | [`python`] | the official OpenAI client, and HTTP/2 that no polite library would send |
//!
//! Everything panics when it cannot do what it is asked: in a test that is the report. Programs come from the
//! environment, which `make test` sets; a missing one fails the test and never skips it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a harness reports by panicking")]

pub mod browser;
pub mod bulk;
pub mod chat;
pub mod database;
pub mod hammer;
pub mod house;
pub mod keys;
pub mod limits;
pub mod link;
pub mod load;
pub mod lossy;
pub mod machine;
pub mod measure;
pub mod office;
pub mod oidc;
pub mod people;
pub mod pieces;
pub mod python;
pub mod random;
pub mod raw;
pub mod ready;
pub mod receipts;
pub mod stats;
pub mod sync;
pub mod usage;
