//! The pages of a person's own access.

mod ways;

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use base::{DelegationId, Error, SessionId};
use http::{StatusCode, Uri};
use pages::{Account, AgentRow, AuthenticatorRow, Factor, Notice, Page, SessionRow};

use super::change::may_change;
use crate::{
    authenticator::{Authenticator, AuthenticatorKind, Ways},
    control::Control,
    delegation::Powers,
    http::page::{Guest, Posted, Trouble, html, redirect},
    login::{LOGIN_PATH, Purpose, Visit, begin_passkey, parameter},
    session::{InSession, Which},
};

const ACCOUNT: &str = "/account";
/// Words that come back with a redirect, so that a page that is loaded again does nothing twice, and what they stand for.
const NOTICES: [(&str, &str); 4] = [
    ("saved", "notice-saved"),
    ("removed", "notice-removed"),
    ("revoked", "notice-revoked"),
    ("ended", "notice-ended"),
];

/// The routes, ready to be merged into the server's.
pub fn router(control: &Control) -> Router {
    Router::new()
        .route(ACCOUNT, get(account))
        .route("/account/setup", get(ways::setup))
        .route("/account/passkeys", post(ways::add_passkey))
        .route("/account/password", get(ways::change_password).post(ways::set_password))
        .route("/account/totp", get(ways::show_totp).post(ways::add_totp))
        .route("/account/codes", post(ways::new_codes))
        .route("/account/later", post(later))
        .route("/account/authenticators/{id}/name", post(ways::rename))
        .route("/account/authenticators/{id}/remove", post(ways::remove))
        .route("/account/sessions/end", post(end_others))
        .route("/account/sessions/{id}/end", post(end_session))
        .route("/account/agents/{id}/revoke", post(revoke))
        .with_state(control.clone())
}

/// The page of signing in, and from there `page`. With a level, whoever is signed in proves themself anew.
fn sign_in_for(
    control: &Control,
    guest: &Guest,
    page: &str,
    level: Option<crate::principal::Level>,
) -> Trouble {
    let visit = Visit {
        purpose: Purpose::Account(page.to_owned()),
        came: control.now(),
        client: None,
        target: None,
        anew: level.is_some(),
        level,
        hint: None,
    };
    match control.seal_visit(&visit) {
        Ok(sealed) => Trouble::First(format!("{LOGIN_PATH}?visit={sealed}")),
        Err(fault) => Trouble::of(fault.into(), guest.language),
    }
}

fn trouble(guest: &Guest) -> impl Fn(Error) -> Trouble + use<> {
    let language = guest.language;
    move |error| Trouble::of(error, language)
}

/// Whoever is signed in; others sign in and come back to their account.
fn signed_in<'a>(control: &Control, guest: &'a Guest) -> Result<&'a InSession, Trouble> {
    guest.session.as_ref().ok_or_else(|| sign_in_for(control, guest, ACCOUNT, None))
}

/// Whoever may change how they sign in now; others prove themselves anew and come back to `page`.
async fn changing<'a>(
    control: &Control,
    guest: &'a Guest,
    page: &str,
) -> Result<(&'a InSession, Ways), Trouble> {
    let session = guest.session.as_ref().ok_or_else(|| sign_in_for(control, guest, page, None))?;
    let ways = control.ways_of(session.person()).await.map_err(trouble(guest))?;
    match may_change(&session.session, &ways, session.now()) {
        Ok(()) => Ok((session, ways)),
        Err(level) => Err(sign_in_for(control, guest, page, Some(level))),
    }
}

async fn account(State(control): State<Control>, guest: Guest, uri: Uri) -> Result<Response, Trouble> {
    let session = signed_in(&control, &guest)?;
    let done = parameter(&uri, "done");
    let notice = NOTICES.iter().find(|(word, _)| *word == done).map(|(_, key)| Notice::Done(key));
    show(&control, &guest, session, notice, StatusCode::OK).await
}

async fn show(
    control: &Control,
    guest: &Guest,
    session: &InSession,
    notice: Option<Notice>,
    status: StatusCode,
) -> Result<Response, Trouble> {
    let person = session.person();
    let ways = control.ways_of(person).await.map_err(trouble(guest))?;
    if !ways.signs_in() {
        return Ok(redirect("/account/setup", &[]));
    }
    let sessions = control.sessions_of(person).await.map_err(trouble(guest))?;
    let calls = control.calls_for(person).await.map_err(trouble(guest))?;
    let passkey = begin_passkey(control, Some(person)).await.map_err(trouble(guest))?;
    let known = control.snapshot();
    let me = known.people.get(person);
    let email = me.and_then(|me| me.body.email.clone());
    let page = Page { here: ACCOUNT.into(), ..guest.page_with(control, notice) };
    let view = Account {
        page,
        name: me.map_or_else(String::new, |me| me.name.to_string()),
        email_verified: email.as_ref().is_some_and(|email| ways.reads(email)),
        email,
        factors: Factor {
            password: ways.has(AuthenticatorKind::Password),
            totp: ways.has(AuthenticatorKind::Totp),
            codes: ways.codes,
        },
        authenticators: ways.all.iter().filter_map(row).collect(),
        passkey,
        sessions: sessions
            .iter()
            .map(|(open, seen)| SessionRow {
                id: open.id.to_string(),
                browser: open.visitor.browser.clone(),
                address: open.visitor.address.clone(),
                began: open.began,
                seen: *seen,
                this: open.id == session.session.id,
            })
            .collect(),
        agents: control
            .delegations_of(person)
            .iter()
            .map(|delegation| agent_row(&known, delegation))
            .collect(),
        calls,
    };
    Ok(html(guest, status, view.html(), None))
}

fn row(one: &Authenticator) -> Option<AuthenticatorRow> {
    let kind = match one.kind {
        AuthenticatorKind::Passkey => "kind-passkey",
        AuthenticatorKind::Password => "kind-password",
        AuthenticatorKind::Totp => "kind-totp",
        AuthenticatorKind::Codes => "kind-codes",
        AuthenticatorKind::Email => return None,
    };
    Some(AuthenticatorRow {
        id: one.id.to_string(),
        kind,
        name: one.label.clone(),
        created: one.created,
        synced: one.synced,
        renames: one.kind == AuthenticatorKind::Passkey,
    })
}

fn agent_row(known: &crate::snapshot::Snapshot, delegation: &crate::delegation::Delegation) -> AgentRow {
    let task = delegation.task().and_then(|task| known.tasks.get(task));
    let path = delegation.audience.split_once("/mcp").map(|(_, rest)| rest);
    AgentRow {
        id: delegation.id.to_string(),
        client: delegation.client_name.clone(),
        agent: match &delegation.powers {
            Powers::Agent { agent, .. } => Some(known.agents.name_of(agent)),
            Powers::Person | Powers::SignIn => None,
        },
        resource: path.map_or_else(String::new, |path| {
            if path.is_empty() { "*".into() } else { path.trim_start_matches('/').to_owned() }
        }),
        purpose: task.map(|task| task.purpose.clone()),
        since: delegation.created,
        until: delegation.expires,
    }
}

/// Where somebody goes who has made a way in: on with what they came for.
fn onward(control: &Control, posted: &Posted) -> Response {
    let sealed = posted.field("visit");
    match control.open_visit(sealed, control.now()) {
        Some(visit) => redirect(&visit.onward(sealed), &[]),
        None => redirect("/account?done=saved", &[]),
    }
}

async fn later(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    signed_in(&control, &posted.guest)?;
    Ok(onward(&control, &posted))
}

async fn end_session(
    State(control): State<Control>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let session = signed_in(&control, guest)?;
    let id: SessionId = id.parse().map_err(|_| Trouble::Missing(guest.language))?;
    let ended = control.end_sessions(session, session.person(), Which::One(&id), "ended_by_person").await;
    ended.map_err(trouble(guest))?;
    Ok(redirect("/account?done=ended", &[]))
}

async fn end_others(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let session = signed_in(&control, guest)?;
    let spared = Which::AllBut(Some(&session.session.id));
    let ended = control.end_sessions(session, session.person(), spared, "ended_by_person").await;
    ended.map_err(trouble(guest))?;
    Ok(redirect("/account?done=ended", &[]))
}

async fn revoke(
    State(control): State<Control>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let session = signed_in(&control, guest)?;
    let id: DelegationId = id.parse().map_err(|_| Trouble::Missing(guest.language))?;
    let revoked = control.take_back(session, &id, session.person()).await;
    revoked.map_err(trouble(guest))?;
    Ok(redirect("/account?done=revoked", &[]))
}
