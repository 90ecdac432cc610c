//! The pages of a person's own access.

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use base::{AuthenticatorId, DelegationId, Error, Secret, SessionId};
use http::{StatusCode, Uri};
use pages::{Account, AgentRow, AuthenticatorRow, Codes, Factor, Notice, Page, SessionRow, Setup, TotpSetup};

use super::change::may_change;
use crate::{
    authenticator::{
        Authenticator, AuthenticatorKind, AuthenticatorRefusal, PASSWORD_CHARACTERS_MIN, Seed, Ways,
    },
    control::Control,
    delegation::Powers,
    login::{LOGIN_PATH, Purpose, Visit, begin_passkey, parameter},
    page::{Guest, Posted, Trouble, html, redirect},
    session::{InSession, Which},
};

const ACCOUNT: &str = "/account";
const SEED: &[u8] = b"totp seed";
/// Words that come back with a redirect, so that a page that is loaded again does nothing twice.
const NOTICES: [&str; 4] = ["saved", "removed", "revoked", "ended"];

/// The routes, ready to be merged into the server's.
pub fn router(control: &Control) -> Router {
    Router::new()
        .route(ACCOUNT, get(account))
        .route("/account/setup", get(setup))
        .route("/account/passkeys", post(add_passkey))
        .route("/account/password", get(change_password).post(set_password))
        .route("/account/totp", get(show_totp).post(add_totp))
        .route("/account/codes", post(new_codes))
        .route("/account/later", post(later))
        .route("/account/authenticators/{id}/name", post(rename))
        .route("/account/authenticators/{id}/remove", post(remove))
        .route("/account/sessions/end", post(end_others))
        .route("/account/sessions/{id}/end", post(end_session))
        .route("/account/agents/{id}/revoke", post(revoke))
        .with_state(control.clone())
}

/// Whoever is signed in; everybody else signs in first, and comes back to `page`.
fn signed_in<'a>(control: &Control, guest: &'a Guest, page: &str) -> Result<&'a InSession, Response> {
    guest.session.as_ref().ok_or_else(|| sign_in_for(control, page, None))
}

/// To the page of signing in, and from there to `page`. With a level, whoever is signed in proves themself anew.
fn sign_in_for(control: &Control, page: &str, level: Option<crate::principal::Level>) -> Response {
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
        Ok(sealed) => redirect(&format!("{LOGIN_PATH}?visit={sealed}"), &[]),
        Err(_) => redirect(LOGIN_PATH, &[]),
    }
}

fn trouble(guest: &Guest) -> impl Fn(Error) -> Trouble + use<> {
    let language = guest.language;
    move |error| Trouble::of(error, language)
}

/// Whoever may change how they sign in now; others prove themselves anew and come back to `page`.
async fn changing<'a>(
    control: &Control,
    guest: &'a Guest,
    page: &str,
) -> Result<Result<(&'a InSession, Ways), Response>, Trouble> {
    let session = match signed_in(control, guest, page) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(Err(elsewhere)),
    };
    let ways = control.ways_of(session.person()).await.map_err(trouble(guest))?;
    Ok(match may_change(&session.session, &ways, session.now()) {
        Ok(()) => Ok((session, ways)),
        Err(level) => Err(sign_in_for(control, page, Some(level))),
    })
}

async fn account(State(control): State<Control>, guest: Guest, uri: Uri) -> Result<Response, Trouble> {
    let session = match signed_in(&control, &guest, ACCOUNT) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let done = parameter(&uri, "done");
    let notice = NOTICES.iter().position(|notice| *notice == done);
    let notice = notice
        .map(|at| Notice::Done(["notice-saved", "notice-removed", "notice-revoked", "notice-ended"][at]));
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
    let path = delegation.audience.as_deref().and_then(|uri| uri.split_once("/mcp")).map(|(_, rest)| rest);
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

async fn setup(State(control): State<Control>, guest: Guest, uri: Uri) -> Result<Response, Trouble> {
    let (session, ways) = match changing(&control, &guest, "/account/setup").await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let view = setup_view(&control, &guest, session, &ways, (parameter(&uri, "visit"), None)).await?;
    Ok(html(&guest, StatusCode::OK, view.html(), None))
}

async fn setup_view(
    control: &Control,
    guest: &Guest,
    session: &InSession,
    _ways: &Ways,
    (visit, notice): (String, Option<Notice>),
) -> Result<Setup, Trouble> {
    let passkey = begin_passkey(control, Some(session.person())).await.map_err(trouble(guest))?;
    Ok(Setup {
        page: guest.page_with(control, notice),
        visit,
        name: control.snapshot().people.name_of(session.person()),
        passkey,
        password: true,
        password_min: PASSWORD_CHARACTERS_MIN,
    })
}

/// Where somebody goes who has made a way in: on with what they came for.
fn onward(control: &Control, posted: &Posted) -> Response {
    let sealed = posted.field("visit");
    match control.open_visit(sealed, control.now()) {
        Some(visit) => redirect(&visit.onward(sealed), &[]),
        None => redirect("/account?done=saved", &[]),
    }
}

async fn add_passkey(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, ways) = match changing(&control, guest, "/account/setup").await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let (label, ceremony) = (posted.field("label"), posted.field("ceremony"));
    let added = control.show_new_passkey(session, label, ceremony, posted.field("response")).await;
    match added {
        Ok(true) => raised(&control, &posted, session).await,
        Ok(false) | Err(Error::Refused(_)) => {
            let notice = Some(Notice::Trouble("error-passkey"));
            let view =
                setup_view(&control, guest, session, &ways, (posted.field("visit").to_owned(), notice))
                    .await?;
            Ok(html(guest, StatusCode::BAD_REQUEST, view.html(), None))
        }
        Err(error) => Err(Trouble::of(error, guest.language)),
    }
}

/// Whoever came by a link and made a way in has proved that they hold it: the session is a real one from now on.
async fn raised(control: &Control, posted: &Posted, session: &InSession) -> Result<Response, Trouble> {
    if session.session.proof.level > crate::principal::Level::Link {
        return Ok(onward(control, posted));
    }
    let cookie = control.raise_after_setup(session).await.map_err(trouble(&posted.guest))?;
    let mut response = onward(control, posted);
    if let Some(cookie) = cookie {
        response.headers_mut().append(http::header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn change_password(State(control): State<Control>, guest: Guest) -> Result<Response, Trouble> {
    let (session, ways) = match changing(&control, &guest, "/account/password").await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let view = setup_view(&control, &guest, session, &ways, (String::new(), None)).await?;
    let view = Setup { passkey: None, ..view };
    Ok(html(&guest, StatusCode::OK, view.html(), None))
}

async fn set_password(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, ways) = match changing(&control, guest, "/account/password").await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let password = Secret::new(posted.field("password").to_owned());
    let key = match control.set_password(session, session.person(), &password).await {
        Ok(Ok(())) => {
            // Whoever knew the old one may be in a session of theirs.
            let spared = Which::AllBut(Some(&session.session.id));
            control
                .end_sessions(session, session.person(), spared, "password_changed")
                .await
                .map_err(trouble(guest))?;
            let needs_second = !ways.has(AuthenticatorKind::Totp) && !ways.has(AuthenticatorKind::Passkey);
            if needs_second {
                let mut response = redirect(&format!("/account/totp?visit={}", posted.field("visit")), &[]);
                if session.session.proof.level == crate::principal::Level::Link
                    && let Some(cookie) = control.raise_after_setup(session).await.map_err(trouble(guest))?
                {
                    response.headers_mut().append(http::header::SET_COOKIE, cookie);
                }
                return Ok(response);
            }
            return raised(&control, &posted, session).await;
        }
        Ok(Err(_busy)) => "error-busy",
        Err(Error::Refused(refusal)) if refusal.code == "password_known" => "error-password-known",
        Err(Error::Refused(_)) => "error-password-short",
        Err(error) => return Err(Trouble::of(error, guest.language)),
    };
    let notice = Some(Notice::Trouble(key));
    let view =
        setup_view(&control, guest, session, &ways, (posted.field("visit").to_owned(), notice)).await?;
    Ok(html(guest, StatusCode::BAD_REQUEST, view.html(), None))
}

async fn show_totp(State(control): State<Control>, guest: Guest, uri: Uri) -> Result<Response, Trouble> {
    let (session, _ways) = match changing(&control, &guest, "/account/totp").await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let seed = Seed::new(control.inner().dice.as_ref());
    let ticket = control.store().seal_keepsake(seed.as_bytes(), &bound_to(session));
    let ticket = ticket.map_err(|fault| Trouble::of(fault.into(), guest.language))?;
    let view = totp_view(&control, &guest, session, &seed, (ticket, parameter(&uri, "visit"), None));
    Ok(html(&guest, StatusCode::OK, view.html(), None))
}

/// A seed travels with the page until it has shown that it works; only this person can bring it back.
fn bound_to(session: &InSession) -> Vec<u8> {
    [SEED, session.person().as_str().as_bytes()].concat()
}

fn totp_view(
    control: &Control,
    guest: &Guest,
    session: &InSession,
    seed: &Seed,
    (ticket, visit, notice): (String, String, Option<Notice>),
) -> TotpSetup {
    let host = control.settings().public_url.host_str().unwrap_or("writ").to_owned();
    let name = control.snapshot().people.name_of(session.person());
    let base32 = seed.to_base32();
    let groups: Vec<&str> = (0..base32.len()).step_by(4).filter_map(|at| base32.get(at..at + 4)).collect();
    let label: String =
        url::form_urlencoded::byte_serialize(format!("Writ {host}:{name}").as_bytes()).collect();
    let address = format!("otpauth://totp/{}?secret={base32}&issuer=Writ", label.replace('+', "%20"));
    TotpSetup {
        page: Page { here: String::new(), ..guest.page_with(control, notice) },
        visit,
        ticket,
        seed: groups.join(" "),
        address,
        optional: true,
    }
}

async fn add_totp(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, _ways) = match changing(&control, guest, "/account/totp").await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let ticket = posted.field("ticket");
    let seed =
        control.store().open_keepsake(ticket, &bound_to(session)).and_then(|seed| Seed::from_bytes(&seed));
    let Some(seed) = seed else { return Err(Trouble::Broken(guest.language)) };
    let code: String = posted.field("code").chars().filter(char::is_ascii_digit).collect();
    match control.add_totp(session, session.person(), &seed, &code).await {
        Ok(codes) => Ok(codes_page(&control, &posted, codes)),
        Err(Error::Refused(refusal)) if refusal.code == base::Refuse::code(&AuthenticatorRefusal::Code) => {
            let back =
                (ticket.to_owned(), posted.field("visit").to_owned(), Some(Notice::Trouble("error-code")));
            let view = totp_view(&control, guest, session, &seed, back);
            Ok(html(guest, StatusCode::BAD_REQUEST, view.html(), None))
        }
        Err(error) => Err(Trouble::of(error, guest.language)),
    }
}

fn codes_page(control: &Control, posted: &Posted, codes: Vec<String>) -> Response {
    let view = Codes { page: posted.guest.page(control), visit: posted.field("visit").to_owned(), codes };
    html(&posted.guest, StatusCode::OK, view.html(), None)
}

async fn new_codes(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, _ways) = match changing(&control, guest, ACCOUNT).await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let codes = control.new_recovery_codes(session, session.person()).await.map_err(trouble(guest))?;
    Ok(codes_page(&control, &posted, codes))
}

async fn later(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    Ok(match signed_in(&control, &posted.guest, ACCOUNT) {
        Ok(_) => onward(&control, &posted),
        Err(elsewhere) => elsewhere,
    })
}

async fn rename(
    State(control): State<Control>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let session = match signed_in(&control, guest, ACCOUNT) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let id: AuthenticatorId = id.parse().map_err(|_| Trouble::Missing(guest.language))?;
    let renamed = control.rename_authenticator(session, session.person(), &id, posted.field("label")).await;
    renamed.map_err(trouble(guest))?;
    Ok(redirect("/account?done=saved", &[]))
}

async fn remove(
    State(control): State<Control>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, _ways) = match changing(&control, guest, ACCOUNT).await? {
        Ok(may) => may,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let id: AuthenticatorId = id.parse().map_err(|_| Trouble::Missing(guest.language))?;
    match control.remove_authenticator(session, session.person(), &id).await {
        Ok(()) => Ok(redirect("/account?done=removed", &[])),
        Err(Error::Refused(refusal)) if refusal.class == base::Class::Conflict => {
            show(&control, guest, session, Some(Notice::Trouble("error-last-way")), StatusCode::CONFLICT)
                .await
        }
        Err(error) => Err(Trouble::of(error, guest.language)),
    }
}

async fn end_session(
    State(control): State<Control>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let session = match signed_in(&control, guest, ACCOUNT) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let id: SessionId = id.parse().map_err(|_| Trouble::Missing(guest.language))?;
    let ended = control.end_sessions(session, session.person(), Which::One(&id), "ended_by_person").await;
    ended.map_err(trouble(guest))?;
    Ok(redirect("/account?done=ended", &[]))
}

async fn end_others(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let session = match signed_in(&control, guest, ACCOUNT) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(elsewhere),
    };
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
    let session = match signed_in(&control, guest, ACCOUNT) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let id: DelegationId = id.parse().map_err(|_| Trouble::Missing(guest.language))?;
    let revoked = control.revoke_delegation(session, &id, Some(session.person()), "taken back").await;
    revoked.map_err(trouble(guest))?;
    Ok(redirect("/account?done=revoked", &[]))
}
