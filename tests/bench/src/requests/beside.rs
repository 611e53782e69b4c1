//! Other builds of the filter, measured beside the released one in the same rounds: what a change brings, or would.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::json;

use super::answer::Answer;
use super::measured::Measured;
use super::variant::{self, Chain, Variant};
use super::variants::LEASED;
use crate::report::Section;

/// A build, as `NAME=MODULE.wasm` on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    name: String,
    module: PathBuf,
}

impl FromStr for Build {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, module) = text.split_once('=').ok_or("expected NAME=MODULE.wasm")?;
        if name.is_empty() || !Path::new(module).is_file() {
            return Err("expected a name, and a file that is there");
        }
        Ok(Self { name: name.to_owned(), module: module.into() })
    }
}

impl Build {
    /// It with everything on. There are as many as the command line names, and they are used until the end.
    pub fn variant(&self) -> &'static Variant {
        let (name, module) = (leaked(&self.name), Box::leak(self.module.clone().into_boxed_path()));
        let chain = Chain::portcullis(name, variant::Build::Other(module), 1);
        let label = leaked(&format!("Portcullis with everything, as {name}"));
        Box::leak(Box::new(Variant::new(name, label, Box::leak(Box::new(chain)), "/leased").answered(Answer::LIMITED)))
    }
}

fn leaked(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// What each costs over the released one, if there are any.
pub fn section(builds: &[Build], measured: &Measured) -> Option<Section> {
    let mut section = Section::with_columns(
        "beside",
        "Other builds, with everything on: CPU time for each request over the released one, in the same rounds",
        ["build", "over the released one, µs", "ratio to it", "bytes"],
    );
    for Build { name, module } in builds {
        let over = measured.between([name, LEASED], |[own, released]| own - released)?;
        let ratio = measured.between([name, LEASED], |[own, released]| own / released)?;
        let bytes = std::fs::metadata(module).map_or(0, |module| module.len());
        let cells = [name.clone(), format!("{over:+.2}"), format!("{ratio:.3}"), bytes.to_string()];
        section.cells(name, cells, json!({"over_released_us": over, "ratio": ratio, "bytes": bytes}));
    }
    (!builds.is_empty()).then_some(section)
}
