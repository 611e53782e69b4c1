//! What a user could pick instead of Portcullis: filters that Envoy has itself, each with the settings that it has by
//! default where these do.

use super::variant::{Chain, Protocol};

/// The cluster of the authorization service.
pub const AUTHZ_CLUSTER: &str = "authz";

/// The path at which a limit is kept for each key, with headers that tell of it as Portcullis does.
pub const PER_KEY_PATH: &str = "/per-key";
/// The path at which everything is refused.
pub const REFUSED_PATH: &str = "/refused";

/// One key among the configuration. The filter itself takes `Bearer ` off the header.
const KEYS: &str = r#"{ name: envoy.filters.http.api_key_auth, typed_config: {
          "@type": type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth,
          credentials: [{ key: "{{secret}}", client: caller }],
          key_sources: [{ header: authorization }] } }"#;

/// Everything counted in one bucket that never gets empty.
const LIMITS: &str = r#"{ name: envoy.filters.http.local_ratelimit, typed_config: {
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit,
          stat_prefix: one_bucket,
          token_bucket: { max_tokens: 1000000000, tokens_per_fill: 1000000000, fill_interval: 60s },
          filter_enabled: { default_value: { numerator: 100 } },
          filter_enforced: { default_value: { numerator: 100 } } } }"#;

/// One bucket for each key at one path; at another one a bucket with one token a day.
const LIMITED_ROUTES: &[(&str, &str)] = &[
    (
        PER_KEY_PATH,
        r#"{ envoy.filters.http.local_ratelimit: {
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit,
          stat_prefix: bucket_per_key,
          token_bucket: { max_tokens: 1000000000, tokens_per_fill: 1000000000, fill_interval: 60s },
          filter_enabled: { default_value: { numerator: 100 } },
          filter_enforced: { default_value: { numerator: 100 } },
          enable_x_ratelimit_headers: DRAFT_VERSION_03,
          rate_limits: [{ actions: [{ request_headers: {
            header_name: authorization, descriptor_key: key } }] }],
          descriptors: [{ entries: [{ key: key }],
            token_bucket: { max_tokens: 500000000, tokens_per_fill: 500000000, fill_interval: 60s } }] } }"#,
    ),
    (
        REFUSED_PATH,
        r#"{ envoy.filters.http.local_ratelimit: {
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit,
          stat_prefix: refused,
          token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: 86400s },
          filter_enabled: { default_value: { numerator: 100 } },
          filter_enforced: { default_value: { numerator: 100 } } } }"#,
    ),
];

/// Nothing.
pub const BARE: Chain = Chain::native("bare", &[]);
/// The same again: what it differs from the first by is what this instrument cannot tell apart.
pub const BARE_AGAIN: Chain = Chain::native("bare-again", &[]);
/// A table of keys.
pub const API_KEY_AUTH: Chain = Chain::native("api_key_auth", &[KEYS]);
/// Limits.
pub const LOCAL_RATELIMIT: Chain = Chain { routes: LIMITED_ROUTES, ..Chain::native("local_ratelimit", &[LIMITS]) };
/// A table of keys, then limits.
pub const BOTH: Chain =
    Chain { routes: LIMITED_ROUTES, ..Chain::native("api_key_auth+local_ratelimit", &[KEYS, LIMITS]) };
/// As little as a script can do that lets one key in.
pub const LUA: Chain = Chain::native(
    "lua",
    &[r#"{ name: envoy.filters.http.lua, typed_config: {
      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua,
      default_source_code: { inline_string: "
        function envoy_on_request(handle)
          if handle:headers():get('authorization') ~= 'Bearer {{secret}}' then
            handle:respond({ [':status'] = '401' }, 'no')
          end
        end" } } }"#],
);
/// A service of its own that is asked over HTTP/1.1.
pub const EXT_AUTHZ_HTTP: Chain = Chain {
    service: Some(Protocol::Http),
    ..Chain::native(
        "ext_authz-http",
        &[r#"{ name: envoy.filters.http.ext_authz, typed_config: {
          "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz,
          http_service: {
            server_uri: { uri: "http://authz", cluster: authz, timeout: 1s },
            authorization_response: { allowed_upstream_headers: { patterns: [{ prefix: x-portcullis- }] } } } } }"#],
    )
};
/// The same over gRPC.
pub const EXT_AUTHZ_GRPC: Chain = Chain {
    service: Some(Protocol::Grpc),
    ..Chain::native(
        "ext_authz-grpc",
        &[r#"{ name: envoy.filters.http.ext_authz, typed_config: {
          "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz,
          transport_api_version: V3,
          grpc_service: { envoy_grpc: { cluster_name: authz }, timeout: 1s } } }"#],
    )
};

impl Protocol {
    /// What its cluster needs besides the address.
    pub const fn cluster_options(self) -> &'static str {
        match self {
            Self::Http => "",
            Self::Grpc => {
                r#", typed_extension_protocol_options: {
                  envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {
                    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
                    explicit_http_config: { http2_protocol_options: {} } } }"#
            }
        }
    }
}
