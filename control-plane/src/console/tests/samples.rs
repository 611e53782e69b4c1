//! Sample data for pages: of each thing one in every state, with a given text in every field that people fill in.

use serde_json::json;

use crate::console::client::FieldFault;
use crate::console::forms::Faults;
use crate::console::html::frame::Frame;
use crate::console::model::{
    AdviceItem, Api, AuditEntry, Gateway, IssuedKey, Key, Me, Organization, Propagation, Token, Usage, User,
};
use crate::domain::audit::Action;
use crate::domain::user::RoleName;

const INSTANT: &str = "2027-01-01T00:00:00Z";
const LATER: &str = "2027-06-30T12:34:56Z";

fn read<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

impl Frame {
    pub fn samples(text: &str) -> Vec<Self> {
        let of = |role, organization| Self {
            name: text.to_owned(),
            role,
            home: Some(text.to_owned()),
            organization,
            form_token: text.to_owned(),
        };
        let chosen = Organization::samples(text).pop();
        vec![
            of(RoleName::Operator, chosen),
            of(RoleName::Operator, None),
            of(RoleName::Admin, None),
            of(RoleName::Member, None),
        ]
    }
}

impl Faults {
    /// As a whole, and of every field that some form has.
    pub fn samples(text: &str) -> Self {
        let pointers = [
            "/name",
            "/expires_at",
            "/apis/0",
            "/rate_limit_enabled",
            "/monthly_budget/cost_micros",
            "/monthly_budget/tokens",
            "/organization",
            "/password",
            "/current_password",
            "/token",
            "/overlap_seconds",
            "/role",
            "/match/hosts/0",
            "/match/path_prefix",
            "/rate_limit/rules/0/limit",
            "/price/per_call_micros",
            "/max_staleness_seconds",
        ];
        let fault = |pointer: &str| FieldFault { pointer: pointer.to_owned(), detail: text.to_owned() };
        Self { detail: Some(text.to_owned()), fields: pointers.map(fault).into() }
    }
}

impl Me {
    pub fn sample(text: &str) -> Self {
        read(json!({"user": "usr_0fq3s7m2k9x4b", "name": text, "role": "member", "organization": "org_0fq3s7m2k9x4b",
                    "organization_name": text, "has_password": true, "token": "tok_0fq3s7m2k9x4b"}))
    }
}

impl Organization {
    pub fn samples(text: &str) -> Vec<Self> {
        let of = |id: &str, over| {
            json!({"id": id, "name": text, "monthly_budget": {"cost_micros": 12_500_000, "tokens": 1_000_000},
                   "over_budget": over, "created_at": INSTANT})
        };
        read(json!([of("org_0fq3s7m2k9x4b", true), of("org_0fq3s7m2k9x4c", false)]))
    }
}

impl Key {
    /// Active, over its budget, expired, deleted, and active in the plainest way.
    pub fn samples(text: &str) -> Vec<Self> {
        let plain = json!({
            "id": "key_0fq3s7m2k9x4b", "masked": "pc_sls_Ab…wxyz", "kind": "serverless", "name": text,
            "organization": "org_0fq3s7m2k9x4b", "created_by_name": text, "issued_at": INSTANT, "expires_at": null,
            "apis": null, "rate_limit_enabled": false, "monthly_budget": null, "over_budget": false,
            "status": "active", "last_used_at": null, "overlap_ends_at": null,
        });
        let with = |changes: serde_json::Value| {
            let mut key = plain.clone();
            key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            key
        };
        let full = json!({
            "kind": "dedicated", "expires_at": LATER, "apis": ["api_0fq3s7m2k9x4b", "api_0000000000000"],
            "rate_limit_enabled": true, "monthly_budget": {"cost_micros": 1, "tokens": 2}, "last_used_at": INSTANT,
            "overlap_ends_at": LATER,
        });
        read(json!([
            with(full),
            with(json!({"over_budget": true})),
            with(json!({"status": "expired", "expires_at": INSTANT})),
            with(json!({"status": "revoked"})),
            plain,
        ]))
    }
}

impl IssuedKey {
    pub fn sample(text: &str) -> Self {
        let key = Key::samples(text).remove(0);
        Self { key, secret: text.to_owned(), propagation: Propagation::samples(text).into_iter().next() }
    }
}

impl Propagation {
    /// Complete, complete with workers that have stopped, with no worker at all, and pending after a restore.
    pub fn samples(text: &str) -> Vec<Self> {
        let of = |status: &str, total: u64, applied: u64, stopped: u64| {
            json!({"revision": 812, "status": status, "workers_total": total, "workers_applied": applied,
                   "workers_stopped": stopped, "elapsed_ms": 6, "pending": [], "enforced_by": null, "settling_until": null})
        };
        let mut pending = of("pending", 13, 1, 0);
        let worker = json!({"gateway": "gtw_0fq3s7m2k9x4b", "node": text, "worker": text, "last_seen_at": INSTANT});
        pending["pending"] = json!(vec![worker; 12]);
        pending["enforced_by"] = json!(LATER);
        pending["settling_until"] = json!(LATER);
        read(json!([of("complete", 3, 3, 0), of("complete", 3, 2, 1), of("complete", 0, 0, 0), pending]))
    }
}

impl Token {
    /// This session, the bootstrap token, and one for a program.
    pub fn samples(text: &str) -> Vec<Self> {
        let of = |id: &str, name: &str, bootstrap: bool, expires_at: Option<&str>| {
            json!({"id": id, "name": name, "masked": "pc_adm_Ab…wxyz", "user": "usr_0fq3s7m2k9x4b",
                   "bootstrap": bootstrap, "created_at": INSTANT, "expires_at": expires_at})
        };
        read(json!([
            of("tok_0fq3s7m2k9x4b", "session", false, Some(LATER)),
            of("tok_0fq3s7m2k9x4c", text, true, None),
            of("tok_0fq3s7m2k9x4d", text, false, None),
        ]))
    }
}

impl Api {
    /// One with everything, and a plain one.
    pub fn samples(text: &str) -> Vec<Self> {
        read(json!([
            {"id": "api_0fq3s7m2k9x4b", "name": text, "kind": "dedicated", "organization": "org_0fq3s7m2k9x4b",
             "match": {"hosts": [text, "models.example.com"], "path_prefix": text},
             "rate_limit": {"per": "user", "rules": [
                 {"unit": "requests", "limit": 60, "window_seconds": 60, "burst": 10},
                 {"unit": "tokens", "limit": 1_000_000, "window_seconds": 86_400, "mode": "observe"}]},
             "price": {"per_call_micros": 100, "per_million_input_tokens_micros": 150_000,
                       "per_million_output_tokens_micros": 600_000},
             "count_tokens": true, "forward_credential": true, "created_at": INSTANT},
            {"id": "api_0fq3s7m2k9x4c", "name": text, "kind": "serverless", "organization": null,
             "match": {"hosts": null, "path_prefix": "/v1"}, "rate_limit": null, "price": null, "count_tokens": false,
             "forward_credential": false, "created_at": INSTANT},
        ]))
    }
}

impl Usage {
    pub fn sample(text: &str) -> Self {
        let counts = json!({"calls": 1_234_567, "refused": 89, "prompt_tokens": 1_000, "completion_tokens": 2_000,
                            "total_tokens": 3_000, "estimated": 1, "cost_micros": 12_345_678});
        let item = |names: serde_json::Value| {
            let mut item = counts.clone();
            item.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
            item
        };
        let items = [
            item(json!({"key": "key_0fq3s7m2k9x4b", "key_name": text, "key_masked": "pc_sls_Ab…wxyz", "day": INSTANT})),
            item(json!({"user": "usr_0fq3s7m2k9x4b", "user_name": text, "day": "2027-01-02T00:00:00Z"})),
            item(json!({"organization": "org_0fq3s7m2k9x4b", "organization_name": text, "hour": INSTANT})),
            item(json!({"api": "api_0fq3s7m2k9x4b", "api_name": text, "day": "2027-01-03T00:00:00Z"})),
            item(json!({"api": "api_0fq3s7m2k9x4c"})),
        ];
        read(json!({"from": INSTANT, "to": LATER, "items": items, "total": counts, "next_cursor": text}))
    }
}

impl AdviceItem {
    /// For every reason.
    pub fn samples(text: &str) -> crate::console::model::List<Self> {
        let item = |reason: &str, used: Option<&str>| {
            json!({"reason": reason, "detail": text, "mend": {"method": "PATCH", "path": text, "body": null},
                   "key": {"id": "key_0fq3s7m2k9x4b", "name": text, "masked": "pc_sls_Ab…wxyz", "created_by_name": text,
                           "last_used_at": used, "expires_at": LATER}})
        };
        let reasons = ["unused", "expiring", "never_expires", "unused_scopes", "unscoped"];
        let items: Vec<_> = reasons.into_iter().map(|reason| item(reason, Some(INSTANT))).collect();
        let items: Vec<_> = items.into_iter().chain([item("unused", None)]).collect();
        read(json!({"items": items, "next_cursor": text}))
    }
}

impl Gateway {
    /// With workers in every state, and without any.
    pub fn samples(text: &str) -> Vec<Self> {
        let worker = |lag: Option<u64>| {
            json!({"id": text, "node": lag.map(|_| text), "last_seen_at": INSTANT, "revision": lag, "lag": lag,
                   "memory_bytes": lag.map(|_| 13_107_200)})
        };
        let of = |apis: Option<Vec<&str>>, workers: Vec<serde_json::Value>| {
            json!({"id": "gtw_0fq3s7m2k9x4b", "name": text, "masked": "pc_gwt_Ab…wxyz", "created_at": INSTANT,
                   "max_staleness_seconds": apis.as_ref().map(|_| 30), "apis": apis, "workers": workers})
        };
        let workers = [Some(0), Some(1), Some(2), None].map(worker).to_vec();
        read(json!([
            of(None, Vec::new()),
            of(Some(vec!["api_0fq3s7m2k9x4b"]), workers.clone()),
            of(Some(vec!["api_0fq3s7m2k9x4b", "api_0fq3s7m2k9x4c"]), workers)
        ]))
    }
}

impl User {
    /// Of every role.
    pub fn samples(text: &str) -> Vec<Self> {
        let of = |id: &str, role: &str, organization: Option<&str>| {
            json!({"id": id, "name": text, "role": role, "organization": organization,
                   "has_password": organization.is_some(), "created_at": INSTANT})
        };
        let home = Some("org_0fq3s7m2k9x4b");
        read(json!([
            of("usr_0fq3s7m2k9x4b", "operator", None),
            of("usr_0fq3s7m2k9x4c", "admin", home),
            of("usr_0fq3s7m2k9x4d", "member", home)
        ]))
    }
}

impl AuditEntry {
    /// Every action, done and refused.
    pub fn samples(text: &str) -> Vec<Self> {
        let entries = Action::ALL.iter().enumerate().map(|(index, action)| {
            let is_done = index % 2 == 0;
            // It sorts last, whatever it is.
            let hostile = format!("~{text}");
            let subject = [Some(text), Some("key_0fq3s7m2k9x4b"), None][index % 3];
            json!({"at": INSTANT, "user": (index % 4 < 3).then_some("usr_0fq3s7m2k9x4b"),
                   "user_name": is_done.then_some(text), "action": action.name(),
                   "subject": subject,
                   "status": (!is_done).then_some(404), "origin": is_done.then_some("192.0.2.7"),
                   "revision": is_done.then_some(812), "before": {"name": text, "apis": [text]},
                   "after": {"name": "other", hostile.clone(): text}})
        });
        read(serde_json::Value::from_iter(entries))
    }
}
