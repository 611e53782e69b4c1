//! The console in a real Chromium, before a real control plane with a real Envoy.
//!
//! What a person does is written in Python (`tests/browser`), where Playwright is; here are the houses, the people, and
//! what must be true of the control plane afterwards.

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

mod pages;
mod protection;
mod story;
