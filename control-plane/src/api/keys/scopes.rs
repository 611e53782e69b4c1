//! The APIs to which a key is confined: read from ids or names, within what its organization may call.

use portcullis_core::api::Access;
use portcullis_core::id::{ApiId, OrganizationId};
use portcullis_core::key::ApiKind;

use crate::domain::fault::Faults;
use crate::domain::key::SCOPES_MAX;
use crate::storage::{StorageError, View};

/// Checks the list itself. An empty one is refused: it would make a key that opens nothing.
pub fn check(references: &[String], faults: &mut Faults) {
    if references.is_empty() || references.len() > SCOPES_MAX {
        let detail = format!("name 1 to {SCOPES_MAX} APIs, or null for all that the key may open");
        faults.add("/apis", detail);
    }
}

/// The ids of the APIs that `references` name, sorted, each once.
///
/// An API of another organization looks like one that is not there.
pub async fn resolve(
    view: &mut View<'_>,
    references: &[String],
    kind: ApiKind,
    organization: OrganizationId,
) -> Result<Result<Vec<ApiId>, Faults>, StorageError> {
    let mut faults = Faults::default();
    let mut apis = Vec::with_capacity(references.len());
    for (index, reference) in references.iter().enumerate() {
        let pointer = format!("/apis/{index}");
        let found = view.api_named(reference).await?.filter(|api| match api.access {
            Access::Serverless => true,
            Access::Dedicated(owner) => owner == organization,
        });
        match found {
            Some(api) if api.access.kind() == kind => apis.push(api.id),
            Some(_) => faults.add(pointer, format!("this API takes no {} keys", kind.name())),
            None => faults.add(pointer, "there is no API with this id or name"),
        }
    }
    apis.sort_unstable();
    apis.dedup();
    Ok(faults.check().map(|()| apis))
}
