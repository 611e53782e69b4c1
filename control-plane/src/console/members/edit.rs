//! `/members/new` and `/members/{id}`: a user, to be created or changed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{PATH, api_path, api_path_of_another};
use crate::console::Console;
use crate::console::address::Query;
use crate::console::done::{Done, Said, Told, lead};
use crate::console::failure::Failure;
use crate::console::forms::{ATTEMPT, Faults, Fields, Posted, attempt};
use crate::console::html::field::{self, Field};
use crate::console::html::frame::{Frame, Section, View, role_name};
use crate::console::html::time::time;
use crate::console::model::{List, Organization, User, Written, choices};
use crate::console::session::Session;
use crate::domain::user::RoleName;

/// A user and their form.
pub struct EditView {
    /// Who there is; nobody for a new one.
    user: Option<User>,
    organizations: Vec<Organization>,
    fields: Fields,
    faults: Faults,
    told: Told,
    /// Whether it is whoever looks.
    is_own: bool,
}

/// Shows the form of a new one.
pub async fn begin(State(console): State<Console>, session: Session) -> Result<Markup, Failure> {
    let chosen = session.organization().to_owned();
    let fields = [("role", "member".to_owned()), ("organization", chosen), (ATTEMPT, attempt(&console)?)];
    let view = view(&session, None, Fields::from_pairs(fields), Faults::default()).await?;
    Ok(session.frame.page(&view))
}

/// Shows one.
pub async fn show(session: Session, Path(id): Path<String>, Query(done): Query<Done>) -> Result<Markup, Failure> {
    let user: User = session.client.get(&api_path(&id)?, &[]).await?;
    let fields = Fields::from_pairs([("name", user.name.clone()), ("role", user.role.name().to_owned())]);
    let told = done.tell(&session).await;
    let view = EditView { told, ..view(&session, Some(user), fields, Faults::default()).await? };
    Ok(session.frame.page(&view))
}

/// Creates one; or shows the form again, with what is wrong.
pub async fn create(Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let mut body = json!({"name": fields.text("name"), "role": fields.text("role")});
    if !fields.raw("password").is_empty() {
        body["password"] = json!(fields.raw("password"));
    }
    if session.is_operator() && fields.text("role") != RoleName::Operator.name() {
        body["organization"] = json!(fields.given("organization"));
    }
    let faults = match session.client.post::<Value>("/v1/users", body, fields.given(ATTEMPT)).await {
        Ok(_) => return Ok(lead(PATH, Said::Created, &Written { propagation: None }).into_response()),
        Err(refusal) => Faults::try_from(refusal)?,
    };
    again(&session, None, fields, faults).await
}

/// Changes one; or shows the form again, with what is wrong.
pub async fn change(Path(id): Path<String>, Posted { session, fields }: Posted) -> Result<Response, Failure> {
    let path = api_path_of_another(&session, &id)?;
    let user: User = session.client.get(&path, &[]).await?;
    let mut body = json!({"name": fields.text("name")});
    if fields.text("role") != user.role.name() {
        body["role"] = json!(fields.text("role"));
        if session.is_operator() && user.organization.is_none() {
            body["organization"] = json!(fields.given("organization"));
        }
    }
    if !fields.raw("password").is_empty() {
        body["password"] = json!(fields.raw("password"));
    }
    let faults = match session.client.patch::<Value>(&path, body).await {
        Ok(_) => {
            let place = format!("{PATH}/{id}");
            return Ok(lead(&place, Said::Saved, &Written { propagation: None }).into_response());
        }
        Err(refusal) => Faults::try_from(refusal)?,
    };
    again(&session, Some(user), fields, faults).await
}

async fn again(session: &Session, user: Option<User>, fields: Fields, faults: Faults) -> Result<Response, Failure> {
    let view = view(session, user, fields, faults).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, session.frame.page(&view)).into_response())
}

async fn view(session: &Session, user: Option<User>, fields: Fields, faults: Faults) -> Result<EditView, Failure> {
    if session.me.role == RoleName::Member {
        return Err(Failure::not_found());
    }
    let organizations: List<Organization> = session.client.get("/v1/organizations", &[]).await?;
    let is_own = user.as_ref().is_some_and(|user| user.id == session.me.user);
    Ok(EditView { user, organizations: organizations.items, fields, faults, told: Told::default(), is_own })
}

impl View for EditView {
    const SECTION: Section = Section::Members;

    fn title(&self) -> String {
        self.user.as_ref().map_or("New member".to_owned(), |user| user.name.clone())
    }

    fn body(&self, frame: &Frame) -> Markup {
        let known = self.user.as_ref().map(|user| format!("{PATH}/{}", user.id));
        html! {
            p .crumbs { a href=(PATH) { "Members" } }
            div .heading {
                h1 { (self.title()) }
                @if let Some(path) = known.as_ref().filter(|_| !self.is_own) { a .button .danger href={ (path) "/delete" } { "Delete" } }
            }
            (self.told.render())
            @if let Some(user) = &self.user {
                dl .facts {
                    div { dt { "Role" } dd { (role_name(user.role)) } }
                    @if let Some(home) = self.home_of(user).filter(|_| frame.role == RoleName::Operator) {
                        div { dt { "Organization" } dd { (home) } }
                    }
                    div { dt { "Password" } dd { @if user.has_password { "Set" } @else { "None" } } }
                    div { dt { "Since" } dd { (time(&user.created_at)) } }
                    div { dt { "Id" } dd { code { (user.id) } } }
                }
            }
            (field::summary(&self.faults))
            @if self.is_own { (own()) } @else { (self.form(frame, known.as_deref())) }
        }
    }
}

/// What stands in place of the form for whoever looks at themselves.
fn own() -> Markup {
    html! {
        p {
            "This is you. Your password and your access tokens are on the page of " a href="/account" { "your account" }
            "; your name and your role are for another admin or operator to change."
        }
    }
}

impl EditView {
    /// What the organization of someone is called.
    fn home_of<'a>(&'a self, user: &'a User) -> Option<&'a str> {
        let id = user.organization.as_ref()?;
        let found = self.organizations.iter().find(|organization| organization.id == *id);
        Some(found.map_or(id, |organization| &organization.name))
    }

    fn form(&self, frame: &Frame, known: Option<&str>) -> Markup {
        let (fields, faults) = (&self.fields, &self.faults);
        let hint = if known.is_some() {
            "12 characters or more, without their name. Left empty it stays; a new one signs them out everywhere."
        } else {
            "12 characters or more, without their name. Without one they sign in with single sign-on, or not at all."
        };
        html! {
            form .stacked method="post" action=(known.unwrap_or("/members/new")) {
                (frame.token())
                input type="hidden" name=(ATTEMPT) value=(fields.text(ATTEMPT));
                (Field {
                    name: "name", label: "Name", hint: "The name with which they sign in.", is_required: true,
                    characters_max: Some(100), pointer: "/name", ..Field::default()
                }.render(fields, faults))
                (self.role(frame))
                @if frame.role == RoleName::Operator && self.user.as_ref().is_none_or(|user| user.organization.is_none()) {
                    (self.home())
                }
                (Field {
                    name: "password", label: "Password", kind: "password", hint, autocomplete: "new-password",
                    characters_max: Some(256), pointer: "/password", ..Field::default()
                }.render(fields, faults))
                div .buttons {
                    button type="submit" { @if known.is_some() { "Save" } @else { "Create member" } }
                    a href=(PATH) { "Cancel" }
                }
            }
        }
    }

    fn role(&self, frame: &Frame) -> Markup {
        let roles = [
            (RoleName::Member, "Member: their own keys"),
            (RoleName::Admin, "Admin: all keys and members of the organization"),
            (RoleName::Operator, "Operator: everything, everywhere"),
        ];
        let granted = roles.iter().filter(|(role, _)| *role != RoleName::Operator || frame.role == RoleName::Operator);
        let options: Vec<(&str, &str)> = granted.map(|(role, text)| (role.name(), *text)).collect();
        html! {
            (field::select("role", "Role", &options, self.fields.text("role")))
            (field::errors("role", "/role", &self.faults))
        }
    }

    fn home(&self) -> Markup {
        // None is chosen by itself: a user stays in the organization in which they are once.
        let names = choices(Some("Choose one"), &self.organizations);
        html! {
            (field::select("organization", "Organization, for admins and members", &names, self.fields.text("organization")))
            (field::errors("organization", "/organization", &self.faults))
        }
    }
}

#[cfg(test)]
impl EditView {
    /// A new one, and users of every role, as they come back.
    pub fn samples(text: &str) -> Vec<Self> {
        let fields = Fields::from_pairs(["name", "role", "organization", ATTEMPT].map(|name| (name, text.to_owned())));
        let view = |user, faults| Self {
            user,
            organizations: Organization::samples(text),
            fields: fields.clone(),
            faults,
            told: Told::samples(text).remove(0),
            is_own: false,
        };
        let known = User::samples(text).into_iter().map(|user| view(Some(user), Faults::samples(text)));
        let own = Self { is_own: true, ..view(User::samples(text).pop(), Faults::default()) };
        std::iter::once(view(None, Faults::default())).chain(known).chain([own]).collect()
    }
}
