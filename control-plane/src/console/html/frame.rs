//! The frame around a page: head, menu, who is signed in.

use maud::{DOCTYPE, Markup, html};

use crate::console::assets::{ICON, SCRIPT, STYLE};
use crate::console::forms::TOKEN;
use crate::console::model::Organization;
use crate::domain::user::RoleName;

/// A page that someone who is signed in sees: data that was read, and how it is written.
pub trait View {
    /// Where in the menu it is.
    const SECTION: Section;

    /// What it is called.
    fn title(&self) -> String;

    /// The page itself, beneath its title.
    fn body(&self, frame: &Frame) -> Markup;
}

/// The menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Keys,
    Apis,
    Usage,
    Advice,
    Members,
    Organizations,
    Gateways,
    Audit,
    Account,
}

impl Section {
    /// All that stand in the menu, in its order.
    const MENU: [Self; 8] = [
        Self::Keys,
        Self::Apis,
        Self::Usage,
        Self::Advice,
        Self::Members,
        Self::Organizations,
        Self::Gateways,
        Self::Audit,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::Keys => "API keys",
            Self::Apis => "APIs",
            Self::Usage => "Usage",
            Self::Advice => "Advice",
            Self::Members => "Members",
            Self::Organizations => "Organizations",
            Self::Gateways => "Gateways",
            Self::Audit => "Audit",
            Self::Account => "Your account",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Keys => "/keys",
            Self::Apis => "/apis",
            Self::Usage => "/usage",
            Self::Advice => "/advice",
            Self::Members => "/members",
            Self::Organizations => "/organizations",
            Self::Gateways => "/gateways",
            Self::Audit => "/audit",
            Self::Account => "/account",
        }
    }

    /// Whether it is there for this role, as the admin API has it.
    const fn is_for(self, role: RoleName) -> bool {
        match self {
            Self::Keys | Self::Apis | Self::Usage | Self::Advice | Self::Account => true,
            Self::Members | Self::Audit => matches!(role, RoleName::Operator | RoleName::Admin),
            Self::Organizations | Self::Gateways => matches!(role, RoleName::Operator),
        }
    }
}

/// What is around every page of someone.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: RoleName,
    /// The organization that they belong to.
    pub home: Option<String>,
    /// The organization that an operator has chosen to look at.
    pub organization: Option<Organization>,
    /// What their forms carry.
    pub form_token: String,
}

impl Frame {
    /// The hidden field that makes a form one of ours.
    pub fn token(&self) -> Markup {
        html! { input type="hidden" name=(TOKEN) value=(self.form_token); }
    }

    /// The whole page.
    pub fn page<V: View>(&self, view: &V) -> Markup {
        let title = view.title();
        let content = html! {
            a .skip href="#main" { "Skip to the contents" }
            div .shell {
                (self.menu(V::SECTION))
                main #main tabindex="-1" {
                    (self.organization_bar(V::SECTION))
                    (view.body(self))
                }
            }
        };
        document(&title, &content)
    }

    fn menu(&self, current: Section) -> Markup {
        let items = Section::MENU.into_iter().filter(|section| section.is_for(self.role));
        html! {
            header .side {
                a .brand href="/" { (logo()) span { "Portcullis" } }
                input #menu-toggle .menu-toggle type="checkbox" aria-label="Show the menu";
                label .menu-button for="menu-toggle" aria-hidden="true" { "Menu" }
                nav aria-label="Main" {
                    ul {
                        @for section in items {
                            li {
                                a href=(section.path()) aria-current=[(section == current).then_some("page")] {
                                    (section.title())
                                }
                            }
                        }
                        li { a href="/docs" { "API reference" } }
                    }
                    div .who {
                        a href=(Section::Account.path())
                            aria-current=[(current == Section::Account).then_some("page")] {
                            strong { (self.name) }
                            span .quiet { (role_name(self.role)) @if let Some(home) = &self.home { " of " (home) } }
                        }
                        form method="post" action="/sign-out" {
                            (self.token())
                            button .link type="submit" { "Sign out" }
                        }
                    }
                }
            }
        }
    }

    /// Which organization an operator looks at, where that matters.
    fn organization_bar(&self, section: Section) -> Markup {
        let matters = match section {
            Section::Keys | Section::Usage | Section::Advice | Section::Members | Section::Audit => true,
            Section::Apis | Section::Organizations | Section::Gateways | Section::Account => false,
        };
        html! {
            @if self.role == RoleName::Operator && matters {
                p .scope {
                    @match &self.organization {
                        Some(organization) => { "Organization: " strong { (organization.name) } }
                        None => { "All organizations" }
                    }
                    " " a href=(Section::Organizations.path()) { "Choose" span .sr { " the organization to look at" } }
                }
            }
        }
    }
}

/// What a role is called.
pub const fn role_name(role: RoleName) -> &'static str {
    match role {
        RoleName::Operator => "Operator",
        RoleName::Admin => "Admin",
        RoleName::Member => "Member",
    }
}

/// A page for someone who is not signed in, or for whom there is nothing.
pub fn bare(title: &str, body: &Markup) -> Markup {
    let content = html! {
        main .bare #main tabindex="-1" {
            p .brand { (logo()) span { "Portcullis" } }
            (body)
        }
    };
    document(title, &content)
}

fn document(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Portcullis" }
                link rel="icon" href=(ICON.path()) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path());
                script src=(SCRIPT.path()) defer {}
            }
            body { (content) }
        }
    }
}

fn logo() -> Markup {
    html! {
        svg .logo viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            path d="M3 3h18v11M3 3v18M9 3v18M15 3v18M21 3v18M3 9h18M3 15h18" fill="none" stroke="currentColor"
                stroke-width="2" stroke-linecap="round";
        }
    }
}
