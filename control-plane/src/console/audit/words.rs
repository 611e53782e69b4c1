//! What was done, in plain words.

use crate::domain::audit::Action;

/// The action as a phrase after somebody's name.
pub const fn phrase(action: Action) -> &'static str {
    match action {
        Action::KeyIssue => "issued a key",
        Action::KeyRead => "looked at a key",
        Action::KeyChange => "changed a key",
        Action::KeyDelete => "deleted a key",
        Action::KeyReissue => "reissued a key",
        Action::KeyOverlapEnd => "ended the old secret of a key",
        Action::KeyStop => "stopped a key over its budget",
        Action::KeyResume => "let a key with a budget go on",
        Action::LeakReport => "reported a leaked secret",
        Action::ApiCreate => "created an API",
        Action::ApiRead => "looked at an API",
        Action::ApiChange => "changed an API",
        Action::ApiDelete => "deleted an API",
        Action::OrganizationCreate => "created an organization",
        Action::OrganizationRead => "looked at an organization",
        Action::OrganizationChange => "changed an organization",
        Action::OrganizationStop => "stopped an organization over its budget",
        Action::OrganizationResume => "let an organization with a budget go on",
        Action::OrganizationDelete => "deleted an organization",
        Action::GatewayCreate => "created a gateway",
        Action::GatewayRead => "looked at a gateway",
        Action::GatewayChange => "changed a gateway",
        Action::GatewayReissue => "gave a gateway a new token",
        Action::GatewayDelete => "deleted a gateway",
        Action::WorkerDelete => "said that a worker is gone",
        Action::WorkerForget => "no longer waits for a silent worker",
        Action::UserCreate => "created a member",
        Action::UserRead => "looked at a member",
        Action::UserChange => "changed a member",
        Action::UserDelete => "deleted a member",
        Action::TokenCreate => "created an access token",
        Action::TokenRead => "looked at an access token",
        Action::TokenDelete => "deleted an access token",
        Action::SessionCreate => "signed in",
        Action::PropagationRead => "looked at a receipt",
        Action::AuditRead => "looked at the audit",
        Action::UsageRead => "looked at usage",
        Action::AdviceRead => "looked at advice",
        Action::BootstrapCreate => "made the first operator token",
        Action::BootstrapRotate => "replaced the first operator token",
        Action::EpochChange => "began another life of the database",
    }
}

/// The page of what something was done to, by its id, if it has one.
pub fn page_of(subject: &str) -> Option<String> {
    let section = match subject.split('_').next()? {
        "key" => "/keys",
        "api" => "/apis",
        "org" => "/organizations",
        "gtw" => "/gateways",
        "usr" => "/members",
        _ => return None,
    };
    // What was refused may have been about anything.
    let is_id = subject.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_id.then(|| format!("{section}/{subject}"))
}
