//! Who a worker is, as it tells the control plane with everything that it sends.

use crate::host;

/// The longest node id that is told to the control plane, in bytes.
const NODE_BYTES_MAX: usize = 128;

/// A worker's names.
#[derive(Debug)]
pub struct Identity {
    /// This start of the virtual machine, told apart from every other.
    pub name: String,
    /// Envoy's node id, as far as a header can hold it.
    pub node: String,
}

impl Default for Identity {
    fn default() -> Self {
        Self { name: String::new(), node: "-".to_owned() }
    }
}

impl Identity {
    /// Finds out who the worker is: a random number, and Envoy's node id.
    pub fn find() -> Self {
        let id = host::property("xds\0node\0id").unwrap_or_default();
        let visible = id.into_iter().filter(u8::is_ascii_graphic).map(char::from);
        let node = visible.take(NODE_BYTES_MAX).collect::<String>();
        let node = if node.is_empty() { "-".to_owned() } else { node };
        Self { name: format!("{:016x}", host::random()), node }
    }
}
