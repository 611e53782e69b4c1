//! What pages are put together from: the frame around them, and the parts that they share.

pub mod badge;
pub mod chart;
pub mod confirm;
pub mod field;
pub mod frame;
pub mod money;
pub mod policy;
pub mod receipt;
pub mod secret;
pub mod table;
pub mod time;
