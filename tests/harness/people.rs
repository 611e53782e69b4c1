//! People with roles, who sign in with a password.

use portcullis_demo::admin::AdminClient;
use serde_json::json;

use crate::house::House;

impl House {
    /// Someone new of `acme`, `admin` or `member`, who has just signed in.
    pub async fn person(&self, name: &str, role: &str) -> AdminClient {
        self.person_of(&self.organization, name, role).await
    }

    /// Someone new of this organization.
    pub async fn person_of(&self, organization: &str, name: &str, role: &str) -> AdminClient {
        self.admin_with(&self.signed_in(organization, name, role).await)
    }

    /// The token of someone new of this organization, who has just signed in.
    pub async fn signed_in(&self, organization: &str, name: &str, role: &str) -> String {
        let password = format!("a long password of {name}");
        let user = json!({"name": name, "role": role, "organization": organization, "password": password});
        self.admin().create("/v1/users", &user).await.unwrap_or_else(|error| panic!("{error}"));
        let credentials = json!({"name": name, "password": password});
        // Signing in takes no token.
        let session = self.admin_with("").create("/v1/sessions", &credentials).await;
        let session = session.unwrap_or_else(|error| panic!("{error}"));
        session["token"].as_str().expect("a token").to_owned()
    }
}
