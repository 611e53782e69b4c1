//! What workers say in Envoy's log once they have every key.

/// What one of them said.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// How many keys it has.
    pub keys: u64,
    /// How long that took since it asked, in milliseconds.
    pub took_ms: u64,
    /// The memory of its virtual machine, in bytes.
    pub memory_bytes: u64,
}

/// What those have said whose lines are in this log.
pub fn said(log: &str) -> Vec<Ready> {
    let lines = log.lines().filter_map(|line| line.split_once("portcullis: ready with "));
    let ready = lines.map(|(_, said)| {
        let numbers = said.split(|character: char| !character.is_ascii_digit()).filter_map(|word| word.parse().ok());
        let [keys, _, took_ms, memory_bytes] = numbers.collect::<Vec<u64>>()[..] else {
            panic!("unexpected: {said}");
        };
        Ready { keys, took_ms, memory_bytes }
    });
    ready.collect()
}
