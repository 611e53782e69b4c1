//! `/v1/sessions`: sign in. Signing out is `DELETE /v1/tokens/{id}`.

pub mod create;
