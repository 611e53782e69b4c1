//! The console in a real Chromium, which Python drives: scripts of `tests/browser`, each with a house and people in it.
//!
//! A script that fails says why on standard error, and keeps pictures of what it saw in `browser` of Cargo's target
//! folder.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::house::House;
use crate::python;

/// The password of everyone who signs in to the console.
pub const PASSWORD: &str = "correct horse battery staple";

impl House {
    /// A house with an Envoy of two workers, whose control plane knows where callers reach it.
    pub async fn with_console() -> Self {
        let mut house = Self::start().await;
        house.set("PORTCULLIS_GATEWAY_URL", house.envoy().url());
        house.stop_control_plane().await;
        house.start_control_plane().await;
        house
    }

    /// Someone new who can sign in to the console: `admin` or `member` of `acme`, or `operator`. Returns their id.
    pub async fn visitor(&self, name: &str, role: &str) -> String {
        let mut user = json!({"name": name, "role": role, "password": PASSWORD});
        if role != "operator" {
            user["organization"] = json!(self.organization);
        }
        let user = self.admin().create("/v1/users", &user).await.unwrap_or_else(|error| panic!("{error}"));
        user["id"].as_str().expect("an id").to_owned()
    }

    /// Runs a script of `tests/browser` with this house and with what else it needs to know.
    pub async fn browse(&self, script: &str, input: Value) -> Value {
        let mut all = json!({
            "console": self.admin_url(), "gateway": self.envoy().url(), "shots": target().join("browser"),
            "password": PASSWORD, "test": std::thread::current().name().unwrap_or_default().replace("::", "-"),
        });
        for (name, value) in input.as_object().expect("fields") {
            all[name] = value.clone();
        }
        python::run_file(&Path::new("browser").join(script), &all).await
    }
}

/// Where Cargo builds.
fn target() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"))
}
