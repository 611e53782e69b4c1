//! All that is measured. A variant more is an entry more in [`ALL`]; a filter more is a [`Chain`] more.

use super::answer::Answer;
use super::rivals::{
    API_KEY_AUTH, BARE, BARE_AGAIN, BOTH, EXT_AUTHZ_GRPC, EXT_AUTHZ_HTTP, LOCAL_RATELIMIT, LUA, PER_KEY_PATH,
    REFUSED_PATH,
};
use super::variant::{Build, Chain, Credential, Filters, Variant};

/// What everything is compared with.
pub const BASE: &str = "bare";
/// Portcullis that knows one key and lets pass whoever has it.
pub const UNLIMITED: &str = "unlimited";
/// Portcullis with everything on: a limit with leases, usage counted, the upstream told who calls. It knows one key.
pub const LEASED: &str = "leased";
/// The same among ten thousand keys.
pub const LEASED_10K: &str = "leased-10k";
/// The same among a million keys.
pub const LEASED_1M: &str = "leased-1m";
/// The most that Envoy has itself: keys and limits.
pub const NATIVE_BOTH: &str = "native-both";
/// A service of one's own that is asked over HTTP.
pub const EXT_AUTHZ: &str = "ext-authz-http";
/// A text that is no key.
pub const MALFORMED: &str = "malformed";

/// Portcullis with a limit for which each request looks at what Envoy's workers share. It knows one key.
pub const SHARED: &str = "shared";
/// The same among a million keys.
pub const SHARED_1M: &str = "shared-1m";
/// A million keys, without a limit.
pub const UNLIMITED_1M: &str = "unlimited-1m";

/// A filter that makes the host calls of [`LEASED`], and decides nothing.
pub const FLOOR: &str = "floor";

const UNLIMITED_10K: &str = "unlimited-10k";
const UNCOUNTED: &str = "uncounted";
const UNINTRODUCED: &str = "unintroduced";
const DOCUMENT_READ: &str = "document-read";
const DOCUMENT_UNREAD: &str = "document-unread";
const STREAM_READ: &str = "stream-read";
const STREAM_UNREAD: &str = "stream-unread";

/// What is judged by the difference of two variants: what it is, and the variants with it and without.
pub const DIFFERENCES: [(&str, &str, &str); 2] = [
    ("counting a request, over a filter that does not", UNLIMITED, UNCOUNTED),
    ("telling the upstream who calls, over a filter that does not", LEASED, UNINTRODUCED),
];
/// The same for reading tokens, with what is read.
pub const READING: [(&str, &str, &str); 2] =
    [("a JSON document", DOCUMENT_READ, DOCUMENT_UNREAD), ("a stream of events", STREAM_READ, STREAM_UNREAD)];

/// Portcullis with one key.
pub const ONE: Chain = Chain::portcullis("portcullis", Build::Released, 1);
const TEN_THOUSAND: Chain = Chain::portcullis("portcullis-10k", Build::Released, 10_000);
/// Portcullis with a million keys.
pub const MILLION: Chain = Chain::portcullis("portcullis-1m", Build::Released, 1_000_000);
const NOT_COUNTING: Chain = Chain::portcullis("uncounted", Build::Uncounted, 1);
const NOT_INTRODUCING: Chain = Chain::portcullis("unintroduced", Build::Unintroduced, 1);

const ONLY_HOST_CALLS: Chain = Chain { filters: Filters::Floor, ..Chain::native("floor", &[]) };

/// All variants, in the order of the report.
pub const ALL: &[Variant] = &[
    Variant::new(BASE, "bare Envoy", &BARE, "/any"),
    Variant::new("bare-again", "bare Envoy, another process", &BARE_AGAIN, "/any"),
    Variant::new("api-key-auth", "native `api_key_auth`", &API_KEY_AUTH, "/any"),
    native("native", "native `local_ratelimit`, one bucket for all", "/any"),
    native("native-per-key", "native `local_ratelimit`, a bucket for each key, with headers", PER_KEY_PATH)
        .answered(Answer::LIMITED_NATIVELY),
    Variant::new(NATIVE_BOTH, "native `api_key_auth` and `local_ratelimit`", &BOTH, "/any").over("api-key-auth"),
    Variant::new("native-both-per-key", "native `api_key_auth`, `local_ratelimit` for each key", &BOTH, PER_KEY_PATH)
        .answered(Answer::LIMITED_NATIVELY)
        .over("api-key-auth"),
    Variant::new("lua", "Lua that compares the header with one text", &LUA, "/any"),
    Variant::new(EXT_AUTHZ, "`ext_authz` over HTTP to a service in Rust", &EXT_AUTHZ_HTTP, "/any"),
    Variant::new("ext-authz-grpc", "`ext_authz` over gRPC to a service in Rust", &EXT_AUTHZ_GRPC, "/any"),
    Variant::new(FLOOR, "a Wasm filter with the host calls of everything, and nothing else", &ONLY_HOST_CALLS, "/any")
        .answered(Answer::LIMITED),
    unlimited(UNLIMITED, "Portcullis without a limit", &ONE),
    limited(LEASED, "Portcullis with everything: limited, with leases", &ONE, "/leased", UNLIMITED),
    unlimited(UNLIMITED_10K, "Portcullis without a limit, 10,000 keys", &TEN_THOUSAND),
    limited(LEASED_10K, "Portcullis with everything, 10,000 keys", &TEN_THOUSAND, "/leased", UNLIMITED_10K),
    unlimited(UNLIMITED_1M, "Portcullis without a limit, 1,000,000 keys", &MILLION),
    limited(LEASED_1M, "Portcullis with everything, 1,000,000 keys", &MILLION, "/leased", UNLIMITED_1M),
    limited(SHARED, "Portcullis, limited, without leases", &ONE, "/shared", UNLIMITED),
    limited(SHARED_1M, "Portcullis, limited, without leases, 1,000,000 keys", &MILLION, "/shared", UNLIMITED_1M),
    limited("two-rules", "Portcullis, two rules, without leases", &ONE, "/two-rules", UNLIMITED),
    unlimited(UNCOUNTED, "Portcullis without a limit, built without counting", &NOT_COUNTING),
    Variant::new(
        UNINTRODUCED,
        "Portcullis with everything, built without identity headers",
        &NOT_INTRODUCING,
        "/leased",
    )
    .answered(Answer::LIMITED),
    reading(DOCUMENT_READ, "a JSON document of 64 KiB, its tokens counted", "/document/read"),
    reading(DOCUMENT_UNREAD, "the same, its tokens not counted", "/document/unread"),
    reading(STREAM_READ, "a stream of events of 64 KiB, its tokens counted", "/stream/read"),
    reading(STREAM_UNREAD, "the same, its tokens not counted", "/stream/unread"),
    native("native-refused", "native `local_ratelimit`, refused", REFUSED_PATH).answered(Answer::REFUSED_NATIVELY),
    limited("refused", "Portcullis, refused by its limit", &ONE, "/refused", UNLIMITED).answered(Answer::REFUSED),
    unlimited("missing", "Portcullis, refused without a key", &ONE).showing(Credential::Missing),
    unlimited(MALFORMED, "Portcullis, refused with a malformed key", &ONE).showing(Credential::Malformed),
    unlimited("unknown", "Portcullis, refused with an unknown key", &ONE).showing(Credential::Unknown),
    Variant::new(BASE, "bare Envoy", &BARE, "/any").with_workers(2),
    native("native", "native `local_ratelimit`, one bucket for all", "/any").with_workers(2),
    unlimited(UNLIMITED, "Portcullis without a limit", &ONE).with_workers(2),
    limited(LEASED, "Portcullis with everything: limited, with leases", &ONE, "/leased", UNLIMITED).with_workers(2),
    limited(SHARED, "Portcullis, limited, without leases", &ONE, "/shared", UNLIMITED).with_workers(2),
];

const fn native(key: &'static str, label: &'static str, path: &'static str) -> Variant {
    Variant::new(key, label, &LOCAL_RATELIMIT, path).over(BASE)
}

const fn unlimited(key: &'static str, label: &'static str, chain: &'static Chain) -> Variant {
    Variant::new(key, label, chain, "/unlimited")
}

const fn limited(
    key: &'static str,
    label: &'static str,
    chain: &'static Chain,
    path: &'static str,
    unlimited: &'static str,
) -> Variant {
    Variant::new(key, label, chain, path).answered(Answer::LIMITED).over(unlimited)
}

const fn reading(key: &'static str, label: &'static str, path: &'static str) -> Variant {
    Variant::new(key, label, &ONE, path).posting()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::requests::apis::apis;

    #[test]
    fn each_variant_can_be_told_from_others_and_compared() {
        for (place, variant) in ALL.iter().enumerate() {
            let is = |other: &Variant, key| other.key == key && other.workers == variant.workers;
            assert!(!ALL[..place].iter().any(|other| is(other, variant.key)), "{} is there twice", variant.key);
            for key in [BASE].into_iter().chain(variant.unlimited) {
                assert!(ALL.iter().any(|other| is(other, key)), "{} has no {key} to compare it with", variant.key);
            }
        }
    }

    #[test]
    fn each_chain_has_a_name_of_its_own() {
        for variant in ALL {
            let namesakes = ALL.iter().filter(|other| other.chain.name == variant.chain.name);
            assert!(namesakes.into_iter().all(|other| other.chain == variant.chain), "{}", variant.chain.name);
        }
    }

    #[test]
    fn each_path_behind_portcullis_has_an_api() {
        let paths = apis().iter().map(|api| api["match"]["path_prefix"].clone()).collect::<Vec<_>>();
        for variant in ALL.iter().filter(|variant| variant.chain.is_portcullis()) {
            assert!(paths.contains(&json!(variant.path)), "{}", variant.path);
        }
    }
}
