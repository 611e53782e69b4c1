//! The last step of building the filter: leaves the module the callbacks that it needs.
//!
//! ```text
//! portcullis-trim IN.wasm OUT.wasm
//! ```
//!
//! Envoy enters the virtual machine for every callback that a module exports, which costs a request some 0.3 µs each,
//! and the SDK exports all that there are. Rust has no way to leave out what a dependency exports, or to export another
//! function under the same name. So the filter exports its own as `portcullis_on_…` (`filter/src/abi.rs`), and here
//! each takes the place of the SDK's `proxy_on_…`; those of the SDK that are listed in [`KEPT`] stay, and all others
//! are no longer exported. Nothing else of the module is changed.
//!
//! How it fails: a module in which anything of this is missing is refused, and nothing is written. One that has not
//! been trimmed breaks at its first request, which Envoy answers with 503.

#![allow(clippy::print_stderr, reason = "a command says what is wrong")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{BinaryReaderError, ExportSectionReader, ExternalKind, Parser, Payload};

/// What the module exports under its own name: memory and entry points, and what the SDK does just as well.
const KEPT: [&str; 5] =
    ["memory", "_initialize", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate", "proxy_on_configure"];
/// What the filter does itself: exported as `portcullis_` and this, wanted as `proxy_` and this.
const OWN: [&str; 10] = [
    "on_context_create",
    "on_request_headers",
    "on_request_body",
    "on_request_trailers",
    "on_response_headers",
    "on_response_body",
    "on_response_trailers",
    "on_done",
    "on_tick",
    "on_http_call_response",
];

#[derive(Debug, thiserror::Error)]
enum TrimError {
    #[error("usage: portcullis-trim IN.wasm OUT.wasm")]
    Usage,
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("not a WebAssembly module: {0}")]
    Module(#[from] BinaryReaderError),
    #[error("the module exports no `{0}`: was it built from this source?")]
    Missing(String),
    #[error("the module exports `{0}`, which is no function and not its memory")]
    Kind(String),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-trim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), TrimError> {
    let [_, from, to] =
        env::args_os().map(PathBuf::from).collect::<Vec<_>>().try_into().map_err(|_| TrimError::Usage)?;
    let module = fs::read(&from).map_err(|error| TrimError::File(from, error))?;
    let trimmed = trimmed(&module)?;
    fs::write(&to, trimmed).map_err(|error| TrimError::File(to, error))
}

/// The module with the exports that it is to have.
fn trimmed(module: &[u8]) -> Result<Vec<u8>, TrimError> {
    let mut copy = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(section) = payload {
            copy.section(&exports(section)?);
        } else if let Some((id, range)) = payload.as_section() {
            // The parser has gone through it, so it is there.
            let place = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
            copy.section(&RawSection { id, data: &module[place(range.start)..place(range.end)] });
        }
    }
    Ok(copy.finish())
}

fn exports(section: ExportSectionReader<'_>) -> Result<ExportSection, TrimError> {
    let found = section.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut kept = ExportSection::new();
    let kept_names = KEPT.iter().map(|name| ((*name).to_owned(), (*name).to_owned()));
    let own_names = OWN.iter().map(|name| (format!("portcullis_{name}"), format!("proxy_{name}")));
    for (name, exported_name) in kept_names.chain(own_names) {
        let export = found.iter().find(|export| export.name == name).ok_or_else(|| TrimError::Missing(name.clone()))?;
        let kind = if export.kind == ExternalKind::Func {
            ExportKind::Func
        } else if export.kind == ExternalKind::Memory {
            ExportKind::Memory
        } else {
            return Err(TrimError::Kind(name));
        };
        kept.export(&exported_name, kind, export.index);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{CodeSection, Function, FunctionSection, MemorySection, MemoryType, TypeSection};

    /// A module with a memory, and a function that has all these names.
    fn module(names: &[String]) -> Vec<u8> {
        let (mut types, mut functions, mut memories) =
            (TypeSection::new(), FunctionSection::new(), MemorySection::new());
        types.ty().function([], []);
        functions.function(0);
        let memory = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
        memories.memory(memory);
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        for name in names {
            exports.export(name, ExportKind::Func, 0);
        }
        let mut code = CodeSection::new();
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
        module.finish()
    }

    fn all_names() -> Vec<String> {
        let kept = KEPT.iter().skip(1).map(|name| (*name).to_owned());
        let own = OWN.iter().flat_map(|name| [format!("portcullis_{name}"), format!("proxy_{name}")]);
        kept.chain(own).chain(["proxy_on_log".to_owned()]).collect()
    }

    fn exported(module: &[u8]) -> Vec<String> {
        let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
        let sections = payloads
            .filter_map(|payload| if let Payload::ExportSection(section) = payload { Some(section) } else { None });
        sections.flatten().map(|export| export.unwrap().name.to_owned()).collect()
    }

    #[test]
    fn a_module_keeps_what_is_listed_and_loses_the_rest() {
        let trimmed = trimmed(&module(&all_names())).unwrap();
        let own = OWN.iter().map(|name| format!("proxy_{name}"));
        let expected = KEPT.iter().map(|name| (*name).to_owned()).chain(own).collect::<Vec<_>>();
        assert_eq!(exported(&trimmed), expected);
    }

    #[test]
    fn a_module_in_which_one_is_missing_is_refused() {
        for missing in
            all_names().iter().filter(|name| KEPT.contains(&name.as_str()) || name.starts_with("portcullis_"))
        {
            let names = all_names().into_iter().filter(|name| name != missing).collect::<Vec<_>>();
            assert!(matches!(trimmed(&module(&names)), Err(TrimError::Missing(name)) if name == *missing));
        }
        assert!(matches!(trimmed(b"no module"), Err(TrimError::Module(_))));
    }
}
