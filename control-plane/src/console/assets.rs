//! Stylesheet, script and icon: files of this program, under names that change with it, so that browsers may keep them.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

/// A file that pages refer to.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

/// The stylesheet.
pub const STYLE: Asset = Asset {
    path: concat!("/assets/", env!("CARGO_PKG_VERSION"), "/console.css"),
    media_type: "text/css; charset=utf-8",
    content: include_str!("assets/console.css"),
};

/// The script.
pub const SCRIPT: Asset = Asset {
    path: concat!("/assets/", env!("CARGO_PKG_VERSION"), "/console.js"),
    media_type: "text/javascript; charset=utf-8",
    content: include_str!("assets/console.js"),
};

/// The icon.
pub const ICON: Asset =
    Asset { path: "/favicon.svg", media_type: "image/svg+xml", content: include_str!("assets/favicon.svg") };

impl Asset {
    /// Where it is found.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The file. It is asked for again after an hour: a build under the same version may differ.
    pub fn serve(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, self.media_type),
            (CACHE_CONTROL, "public, max-age=3600"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, self.content).into_response()
    }
}
