//! Every call to the host, in one file and in safe Rust for the others.
//!
//! The SDK's own wrappers panic when the host answers with a status that they do not expect, and a panic takes
//! the worker down. So the calls are declared here once more and every status becomes a value. The exception is
//! [`call`], since only the SDK can register a callout with its dispatcher. Numbers of maps, buffers and
//! statuses are those of the Proxy-Wasm ABI 0.2.1.

#![allow(unsafe_code, reason = "host calls pass raw pointers; this is the one file that makes them")]

use std::time::Duration;

use proxy_wasm::hostcalls;

const STATUS_OK: u32 = 0;
const BUFFER_RESPONSE_BODY: u32 = 1;
const BUFFER_CALL_RESPONSE_BODY: u32 = 4;
const BUFFER_PLUGIN_CONFIGURATION: u32 = 7;
const MAP_CALL_RESPONSE_HEADERS: u32 = 6;
const METRIC_COUNTER: u32 = 0;
const METRIC_GAUGE: u32 = 1;
/// A version that no shared value has: a value is versioned from 1 on, and a process does not write so often.
const VERSION_NEVER: u32 = u32::MAX;
const STREAM_REQUEST: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const GRPC_STATUS_UNSET: i32 = -1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_done() -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, size_max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_define_metric(metric: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, version: u32) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    fn random_get(data: *mut u8, size: usize) -> u32;
}

/// How much a log line matters. The numbers are the ABI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// The headers or the trailers of a request, or the headers of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
}

/// Writes a line to Envoy's log. A line that cannot be written is lost.
pub fn log(level: Level, line: &str) {
    // SAFETY: the host reads `line`, which outlives the call.
    unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
}

/// Asks for a tick every so many milliseconds.
pub fn set_tick_period_ms(period_ms: u32) {
    // SAFETY: no pointer is passed.
    unsafe { proxy_set_tick_period_milliseconds(period_ms) };
}

/// Makes the calls that follow in this callback act on another context. False if it is no more.
pub fn select(context: u32) -> bool {
    // SAFETY: no pointer is passed.
    unsafe { proxy_set_effective_context(context) == STATUS_OK }
}

/// The milliseconds of a clock that is never set.
pub fn monotonic_ms() -> u64 {
    monotonic_us() / 1_000
}

/// The microseconds of the same clock.
pub fn monotonic_us() -> u64 {
    monotonic_ns() / 1_000
}

/// The nanoseconds of the same clock, which all workers of this Envoy share.
pub fn monotonic_ns() -> u64 {
    let mut time_ns = 0_u64;
    // SAFETY: the host writes one u64 to `time_ns`.
    unsafe { clock_time_get(CLOCK_MONOTONIC, 0, &raw mut time_ns) };
    time_ns
}

/// A random number for jitter and names. Zero if the host has none to give; nothing secret hangs on it.
pub fn random() -> u64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: the host writes at most `bytes.len()` bytes to `bytes`.
    unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    u64::from_le_bytes(bytes)
}

/// The size of this virtual machine's memory, which never shrinks, in bytes.
pub fn memory_bytes() -> usize {
    #[cfg(target_arch = "wasm32")]
    let pages = core::arch::wasm32::memory_size::<0>();
    #[cfg(not(target_arch = "wasm32"))]
    let pages = 0_usize;
    pages.saturating_mul(65_536)
}

/// Takes over what the host has allocated through the SDK's `proxy_on_memory_allocate`.
fn taken(status: u32, data: *mut u8, size: usize) -> Option<Vec<u8>> {
    if status != STATUS_OK {
        return None;
    }
    if data.is_null() || size == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the SDK allocates a boxed slice of exactly `size` bytes with the global allocator and forgets it;
    // the host has filled it and hands it over.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// An Envoy attribute such as `xds.node.id`, its path given with `\0` between the segments.
pub fn property(path: &str) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host reads `path` and writes one pointer and one size.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    taken(status, data, size)
}

fn buffer(buffer: u32, start: usize, size_max: usize) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host writes one pointer and one size.
    let status = unsafe { proxy_get_buffer_bytes(buffer, start, size_max, &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// The plugin configuration, `size` bytes long.
pub fn plugin_configuration(size: usize) -> Option<Vec<u8>> {
    buffer(BUFFER_PLUGIN_CONFIGURATION, 0, size)
}

/// The body of the answer to a callout, `size` bytes long; only in the callback that announces it.
pub fn call_response_body(size: usize) -> Option<Vec<u8>> {
    buffer(BUFFER_CALL_RESPONSE_BODY, 0, size)
}

/// A part of the piece of a response that is passing now; only in the callback that announces it.
pub fn response_body(start: usize, size_max: usize) -> Option<Vec<u8>> {
    buffer(BUFFER_RESPONSE_BODY, start, size_max)
}

/// The status of the answer to a callout; only in the callback that announces it.
pub fn call_response_status() -> Option<u16> {
    let value = header_of(MAP_CALL_RESPONSE_HEADERS, ":status")?;
    str::from_utf8(&value).ok()?.parse().ok()
}

/// The value of a header; `None` if there is none of this name.
pub fn header(map: Map, name: &str) -> Option<Vec<u8>> {
    header_of(map as u32, name)
}

fn header_of(map: u32, name: &str) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host reads `name` and writes one pointer and one size.
    let status = unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// All headers of a map in one host call: the number of pairs, the sizes of each, then the bytes of each with
/// `\0` behind every name and value. `None` if the host has no such map.
pub struct Headers(Vec<u8>);

impl Headers {
    /// Reads a map.
    pub fn read(map: Map) -> Option<Self> {
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the host writes one pointer and one size.
        let status = unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut size) };
        taken(status, data, size).map(Self)
    }

    /// Names, lower case, and values. A map that contradicts itself ends where it does.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let (count, rest) = self.0.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let count = usize::try_from(u32::from_le_bytes(*count)).unwrap_or(0);
        let sizes_size = count.saturating_mul(8).min(rest.len());
        let (sizes, mut bytes) = rest.split_at_checked(sizes_size).unwrap_or_default();
        let mut take = move |size: &[u8; 4]| {
            let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
            let (value, after) = bytes.split_at_checked(size)?;
            bytes = after.split_first()?.1;
            Some(value)
        };
        let sizes = sizes.as_chunks::<4>().0.as_chunks::<2>().0.iter();
        sizes.map_while(move |[name, value]| Some((take(name)?, take(value)?)))
    }
}

/// Sets a header, whatever it was before. False if the host did not.
pub fn set_header(map: Map, name: &str, value: &str) -> bool {
    // SAFETY: the host reads `name` and `value`, which outlive the call.
    let status =
        unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    status == STATUS_OK
}

/// Adds a header beside those of its name, which costs less than setting it. False if the host did not.
pub fn add_header(map: Map, name: &str, value: &[u8]) -> bool {
    // SAFETY: the host reads `name` and `value`, which outlive the call.
    let status =
        unsafe { proxy_add_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    status == STATUS_OK
}

/// Removes every header of this name. False if the host did not.
pub fn remove_header(map: Map, name: &[u8]) -> bool {
    // SAFETY: the host reads `name`, which outlives the call.
    let status = unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    status == STATUS_OK
}

/// Lets a held request go on.
pub fn resume_request() -> bool {
    // SAFETY: no pointer is passed.
    unsafe { proxy_continue_stream(STREAM_REQUEST) == STATUS_OK }
}

/// Answers the request in the upstream's place; `details` is for Envoy's access log. False if it has been
/// answered already.
pub fn respond(status: u16, details: &str, headers: &[(&str, String)], body: &[u8]) -> bool {
    let headers = serialized(headers);
    // SAFETY: the host reads `details`, `headers` and `body`, which outlive the call.
    let result = unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            GRPC_STATUS_UNSET,
        )
    };
    result == STATUS_OK
}

/// Headers in the form that [`Headers`] describes.
fn serialized(headers: &[(&str, String)]) -> Vec<u8> {
    let size_of = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = u32::try_from(headers.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    for (name, value) in headers {
        bytes.extend_from_slice(&size_of(name));
        bytes.extend_from_slice(&size_of(value));
    }
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Sends a request to a cluster; `headers` begin with `:method`, `:path` and `:authority`. The answer comes as a
/// callback with the number that is returned. `None` if there is no such cluster or it takes no request now.
pub fn call(cluster: &str, headers: Vec<(&str, &str)>, body: Option<&[u8]>, timeout: Duration) -> Option<u32> {
    hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).ok()
}

/// Lets the root context, which has said that it is not done, be deleted once this callback has returned.
pub fn done() {
    // SAFETY: no pointer is passed.
    unsafe { proxy_done() };
}

/// A value that all workers of this Envoy share, and its version. `None` if there is none.
pub fn shared_data(key: &str) -> Option<(Vec<u8>, u32)> {
    let (mut data, mut size, mut version) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: the host reads `key` and writes one pointer, one size and one u32.
    let status =
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut size, &raw mut version) };
    Some((taken(status, data, size)?, version))
}

/// Sets such a value if it still has the version that was read, or if there still is none. False if it was not set.
pub fn set_shared_data(key: &str, value: &[u8], version: Option<u32>) -> bool {
    // The host does not look at the version of a value that is not there, and takes 0 for any.
    let version = version.filter(|version| *version > 0).unwrap_or(VERSION_NEVER);
    // SAFETY: the host reads `key` and `value`, which outlive the call.
    let status = unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) };
    status == STATUS_OK
}

/// Defines a counter and returns its number.
pub fn define_counter(name: &str) -> Option<u32> {
    define_metric(METRIC_COUNTER, name)
}

/// Defines a gauge and returns its number.
pub fn define_gauge(name: &str) -> Option<u32> {
    define_metric(METRIC_GAUGE, name)
}

fn define_metric(metric: u32, name: &str) -> Option<u32> {
    let mut id = 0_u32;
    // SAFETY: the host reads `name` and writes one u32 to `id`.
    let status = unsafe { proxy_define_metric(metric, name.as_ptr(), name.len(), &raw mut id) };
    (status == STATUS_OK).then_some(id)
}

/// Adds to a counter.
pub fn increment(counter: u32, by: u64) {
    // SAFETY: no pointer is passed.
    unsafe { proxy_increment_metric(counter, i64::try_from(by).unwrap_or(i64::MAX)) };
}

/// Sets a gauge.
pub fn set_gauge(gauge: u32, value: u64) {
    // SAFETY: no pointer is passed.
    unsafe { proxy_record_metric(gauge, value) };
}
