//! Usage, cost and budgets, with real Envoys, a real control plane and real clients.
//!
//! | module | what it shows |
//! |---|---|
//! | [`exact`] | 200,000 requests are counted exactly once, whatever happens to reports and to the control plane |
//! | [`tokens`] | responses in every form, cut at every byte |
//! | [`lost`] | what a killed Envoy takes with it, and that one which is drained or configured anew takes nothing |
//! | [`cost`] | cost to the millionth, before and after a price change |
//! | [`budgets`] | ceilings of keys and organizations |
//! | [`advice`] | advice is taken, and gone |
//! | [`dashboard`] | every query of the dashboard finds what it asks for |

#![allow(clippy::print_stdout, reason = "measurements are for whoever reads the output of the test")]

mod advice;
mod budgets;
mod cost;
mod dashboard;
mod exact;
mod lost;
mod tokens;
