//! The views: what each page is told, and nothing else.

use std::fmt::Write as _;

use askama::Template;
use base::Timestamp;
use qrcodegen::{QrCode, QrCodeEcc};

use crate::{Language, Page};

macro_rules! renders {
    ($($view:ident),* $(,)?) => {$(
        impl $view {
            /// The page as HTML. What a template cannot say is a mistake of ours, and the page says that.
            pub fn html(&self) -> String {
                self.render().unwrap_or_else(|error| format!("<!doctype html><title>Writ</title><p>{error}"))
            }
        }
    )*};
}

renders!(
    Login,
    Recover,
    SecondFactor,
    Join,
    Setup,
    TotpSetup,
    Codes,
    Consent,
    Message,
    Account,
    Device,
    ConfirmSignOut
);

/// What a passkey's ceremony needs: options for the browser, and what the server keeps sealed with the client.
#[derive(Clone, Debug)]
pub struct Ceremony {
    /// Options (Web Authentication Level 3, section 5), as JSON.
    pub options: String,
    /// What the server needs back.
    pub sealed: String,
}

/// Signing in.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct Login {
    /// What all pages have.
    pub page: Page,
    /// The sealed request that led here; empty without one.
    pub visit: String,
    /// The name of the client that asks, where one does.
    pub client: Option<String>,
    /// What was typed into the name's field.
    pub name: String,
    /// The ceremony of a passkey, where the address of this server can have passkeys.
    pub passkey: Option<Ceremony>,
    /// Whether it is about proving oneself again.
    pub again: bool,
    /// Whether mail can be sent to whoever lost their way in.
    pub recovers: bool,
}

/// Asking for a way back in.
#[derive(Debug, Template)]
#[template(path = "recover.html")]
pub struct Recover {
    /// What all pages have.
    pub page: Page,
}

/// The second of two factors.
#[derive(Debug, Template)]
#[template(path = "second_factor.html")]
pub struct SecondFactor {
    /// What all pages have.
    pub page: Page,
    /// The sealed request that led here; empty without one.
    pub visit: String,
    /// What proves the first factor.
    pub ticket: String,
    /// Whether there are recovery codes.
    pub has_codes: bool,
}

/// A link was followed.
#[derive(Debug, Template)]
#[template(path = "join.html")]
pub struct Join {
    /// What all pages have.
    pub page: Page,
    /// The link's code.
    pub code: String,
}

/// Making ways to sign in.
#[derive(Debug, Template)]
#[template(path = "setup.html")]
pub struct Setup {
    /// What all pages have.
    pub page: Page,
    /// The sealed request that led here; empty without one.
    pub visit: String,
    /// The name by which they sign in, for password managers.
    pub name: String,
    /// The ceremony of a new passkey, where the address of this server can have passkeys.
    pub passkey: Option<Ceremony>,
    /// The shortest password, in characters.
    pub password_min: usize,
}

/// Making a generator of codes.
#[derive(Debug, Template)]
#[template(path = "totp_setup.html")]
pub struct TotpSetup {
    /// What all pages have.
    pub page: Page,
    /// The sealed request that led here; empty without one.
    pub visit: String,
    /// The seed, sealed.
    pub ticket: String,
    /// The seed in base 32, in groups of four, to type.
    pub seed: String,
    /// The `otpauth` address.
    pub address: String,
}

impl TotpSetup {
    /// The address as a picture that phones read: the path of an SVG, and its width.
    fn picture(&self) -> Option<(String, i32)> {
        let code = QrCode::encode_text(&self.address, QrCodeEcc::Medium).ok()?;
        let size = code.size();
        let dark =
            (0..size).flat_map(|y| (0..size).map(move |x| (x, y))).filter(|(x, y)| code.get_module(*x, *y));
        let path = dark.fold(String::new(), |mut path, (x, y)| {
            // Writing to a string does not fail.
            let _ = write!(path, "M{},{}h1v1h-1z", x + 4, y + 4);
            path
        });
        Some((path, size + 8))
    }
}

/// Recovery codes, shown once.
#[derive(Debug, Template)]
#[template(path = "codes.html")]
pub struct Codes {
    /// What all pages have.
    pub page: Page,
    /// The sealed request that led here; empty without one.
    pub visit: String,
    /// The codes.
    pub codes: Vec<String>,
}

/// Something that can be had or left.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The field's name.
    pub field: String,
    /// The value.
    pub value: String,
    /// What it is called, or the key of it in the catalogue.
    pub label: String,
    /// Whether it is chosen at first.
    pub chosen: bool,
}

/// One rule of a task: tools with constraints.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The field's name.
    pub field: String,
    /// Which tools, resources or prompts.
    pub what: String,
    /// What must be true of the arguments.
    pub constraints: Vec<String>,
    /// Which effects it is narrowed to, by their keys.
    pub effects: Vec<String>,
}

/// Who vouches for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Somebody of this installation.
    Vouched,
    /// Nobody: its name is its own claim.
    Unknown,
    /// Nobody, and anybody on the person's machine can pose as it.
    OnThisMachine,
}

/// A task that a person agreed to before.
#[derive(Debug)]
pub struct Already {
    /// Its id; comes back with the answer, so that what is added to is what was shown.
    pub task: String,
    /// The effects that it has, by keys.
    pub effects: Vec<String>,
    /// When it ends.
    pub until: Timestamp,
}

/// May this agent act for you?
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct Consent {
    /// What all pages have.
    pub page: Page,
    /// The sealed request.
    pub visit: String,
    /// What the client calls itself.
    pub client: String,
    /// The client's address or id.
    pub client_id: String,
    /// Who vouches for the client.
    pub trust: Trust,
    /// Where the answer goes.
    pub redirect_host: String,
    /// The agent that will act; none where the client acts as the person or only learns who they are.
    pub agent: Option<String>,
    /// Who answers for the agent.
    pub owner: String,
    /// Whether the client acts as the person, with everything they may do.
    pub as_person: bool,
    /// What the task is for.
    pub purpose: Option<String>,
    /// What the person asked for, as the client reports it.
    pub instruction: Option<String>,
    /// Which servers.
    pub resource: String,
    /// Rules that the client asked for, each of which can be left out.
    pub rules: Vec<Rule>,
    /// The task that it is about adding to.
    pub already: Option<Already>,
    /// Effects that the task may have, each of which can be left out; for a client that named no rules.
    pub effects: Vec<Choice>,
    /// How long.
    pub durations: Vec<Choice>,
    /// The most calls; the person may lower it.
    pub calls: i64,
    /// What the client learns about the person, by keys.
    pub learns: Vec<String>,
    /// Whether the client can come back without asking, until the end.
    pub offline: bool,
}

/// One message and a way on.
#[derive(Debug, Template)]
#[template(path = "message.html")]
pub struct Message {
    /// What all pages have.
    pub page: Page,
    /// The heading, from the catalogue.
    pub title: String,
    /// What happened, from the catalogue.
    pub text: String,
    /// What a program said about it, for whoever has to mend it.
    pub detail: Option<String>,
    /// Where to go on, and what that is called.
    pub next: Option<(String, String)>,
}

impl Message {
    /// A message by its key: `KEY-title` and `KEY-text` in the catalogue, which begin with `notice-` or `error-`.
    pub fn of(page: Page, key: &str) -> Self {
        let (title, text) = (page.say(&format!("{key}-title")), page.say(&format!("{key}-text")));
        Self { page, title, text, detail: None, next: None }
    }

    /// The same with what a program said.
    #[must_use]
    pub fn detailed(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a way on, called by a key that begins with `notice-`.
    #[must_use]
    pub fn then(mut self, address: &str, key: &str) -> Self {
        self.next = Some((address.to_owned(), self.page.say(key)));
        self
    }
}

/// What is there of an authenticator.
#[derive(Clone, Debug)]
pub struct AuthenticatorRow {
    /// Its id.
    pub id: String,
    /// The key of its kind in the catalogue.
    pub kind: &'static str,
    /// What the person called it.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is on several devices.
    pub synced: bool,
    /// Whether it can be renamed.
    pub renames: bool,
}

/// A session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its id.
    pub id: String,
    /// What the browser says it is.
    pub browser: String,
    /// From where.
    pub address: String,
    /// When it began.
    pub began: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
    /// Whether it is this one.
    pub this: bool,
}

/// An agent or program that may act for the person.
#[derive(Clone, Debug)]
pub struct AgentRow {
    /// The delegation's id.
    pub id: String,
    /// What the client calls itself.
    pub client: String,
    /// The agent's name.
    pub agent: Option<String>,
    /// For which servers.
    pub resource: String,
    /// What for.
    pub purpose: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest.
    pub until: Timestamp,
}

/// Something that was done in the person's name.
#[derive(Clone, Debug)]
pub struct CallRow {
    /// When.
    pub at: Timestamp,
    /// By which agent.
    pub agent: String,
    /// What.
    pub act: String,
    /// The key of what became of it.
    pub outcome: &'static str,
    /// The decision.
    pub decision: String,
}

/// A way in that the person has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factor {
    /// Whether there is a password.
    pub password: bool,
    /// Whether there is a generator of codes.
    pub totp: bool,
    /// How many recovery codes are left.
    pub codes: usize,
}

/// My access.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct Account {
    /// What all pages have.
    pub page: Page,
    /// The name by which they sign in.
    pub name: String,
    /// Their address.
    pub email: Option<String>,
    /// Whether they were shown to read it.
    pub email_verified: bool,
    /// Ways to sign in.
    pub authenticators: Vec<AuthenticatorRow>,
    /// Which factors there are.
    pub factors: Factor,
    /// A ceremony for one more passkey.
    pub passkey: Option<Ceremony>,
    /// Sessions.
    pub sessions: Vec<SessionRow>,
    /// Who may act.
    pub agents: Vec<AgentRow>,
    /// What was done.
    pub calls: Vec<CallRow>,
}

/// A device wants in.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub struct Device {
    /// What all pages have.
    pub page: Page,
    /// The code, as far as it is known.
    pub code: String,
}

/// Shall the session end? Asked where another site wants that.
#[derive(Debug, Template)]
#[template(path = "sign_out.html")]
pub struct ConfirmSignOut {
    /// What all pages have.
    pub page: Page,
    /// The sealed way back; empty without one.
    pub visit: String,
}
