//! The pages of signing in and out.

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use base::{Error, Secret};
use http::{HeaderValue, StatusCode, Uri};
use pages::{Ceremony, ConfirmSignOut, Join, Login, Message, Notice, Recover, SecondFactor};

use super::{
    service::Shown,
    visit::{Purpose, Visit},
};
use crate::{
    control::Control,
    http::page::{Cookie, Guest, Posted, Trouble, asset, html, redirect},
    principal::{Level, Proof},
    session::{SessionSecret, Which},
};

/// Where people sign in.
pub(crate) const LOGIN_PATH: &str = "/login";

/// The routes, ready to be merged into the server's.
pub fn router(control: &Control) -> Router {
    Router::new()
        .route(LOGIN_PATH, get(login).post(password))
        .route("/login/code", post(code))
        .route("/login/passkey", post(passkey))
        .route("/join/{code}", get(join))
        .route("/join", post(accept))
        .route("/recover", get(ask_way_back).post(way_back))
        .route("/logout", get(ask_sign_out).post(sign_out))
        .route("/assets/{name}", get(async |Path(name): Path<String>| asset(&name)))
        .with_state(control.clone())
}

/// A parameter of a page's query.
pub(crate) fn parameter(uri: &Uri, name: &str) -> String {
    let form = wire::oauth::Form::parse(uri.query().unwrap_or_default().as_bytes());
    form.ok().and_then(|form| form.get(name).map(str::to_owned)).unwrap_or_default()
}

/// The ceremony of a passkey, where this server's address can have passkeys.
pub(crate) async fn begin_passkey(
    control: &Control,
    new_for: Option<&base::PersonId>,
) -> Result<Option<Ceremony>, Error> {
    let begun = control.begin_ceremony(new_for).await?;
    Ok(begun.map(|(options, sealed)| Ceremony { options, sealed }))
}

/// The header that gives a browser its session.
pub(super) fn cookie_of(secret: &SessionSecret) -> Option<HeaderValue> {
    Cookie::Session.set(secret.expose(), None)
}

async fn login(State(control): State<Control>, guest: Guest, uri: Uri) -> Result<Response, Trouble> {
    let sealed = parameter(&uri, "visit");
    let visit = control.open_visit(&sealed, control.now());
    if visit.is_none() && !sealed.is_empty() {
        return Ok(expired(&control, &guest));
    }
    match (&guest.session, &visit) {
        (Some(session), Some(visit)) if Control::is_enough(&session.session, visit) => {
            Ok(redirect(&visit.onward(&sealed), &[]))
        }
        (Some(session), None) if session.session.proof.level > Level::Link => Ok(redirect("/account", &[])),
        _ => {
            let name = visit.as_ref().and_then(|visit| visit.hint.clone()).unwrap_or_default();
            show(&control, &guest, (&sealed, visit.as_ref()), &name, None).await
        }
    }
}

/// The page of signing in.
async fn show(
    control: &Control,
    guest: &Guest,
    (sealed, visit): (&str, Option<&Visit>),
    name: &str,
    trouble: Option<&'static str>,
) -> Result<Response, Trouble> {
    let passkey = begin_passkey(control, None).await.map_err(|error| Trouble::of(error, guest.language))?;
    let view = Login {
        page: guest.page_with(control, trouble.map(Notice::Trouble)),
        visit: sealed.to_owned(),
        client: visit.and_then(|visit| visit.client.clone()),
        name: name.to_owned(),
        passkey,
        again: guest.session.is_some(),
        recovers: control.sends_mail(),
    };
    let status = match trouble {
        None => StatusCode::OK,
        Some("error-slow") => StatusCode::TOO_MANY_REQUESTS,
        Some("error-busy") => StatusCode::SERVICE_UNAVAILABLE,
        Some(_) => StatusCode::UNAUTHORIZED,
    };
    let target = visit.and_then(|visit| visit.target.as_deref());
    Ok(html(guest, status, view.html(), target))
}

async fn password(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let (name, password) = (posted.field("name"), Secret::new(posted.field("password").to_owned()));
    let shown = control.show_password(&posted.guest.visitor, name, &password).await;
    go_on(&control, &posted, shown, "error-credentials").await
}

async fn code(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let shown = control.show_code(&posted.guest.visitor, posted.field("ticket"), posted.field("code")).await;
    if matches!(shown, Ok(Shown::Wrong)) {
        let view = SecondFactor {
            page: posted.guest.page_with(&control, Some(Notice::Trouble("error-code"))),
            visit: posted.field("visit").to_owned(),
            ticket: posted.field("ticket").to_owned(),
            has_codes: true,
        };
        let visit = control.open_visit(posted.field("visit"), control.now());
        let target = visit.and_then(|visit| visit.target);
        return Ok(html(&posted.guest, StatusCode::UNAUTHORIZED, view.html(), target.as_deref()));
    }
    go_on(&control, &posted, shown, "error-code").await
}

async fn passkey(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let (ceremony, answer) = (posted.field("ceremony"), posted.field("response"));
    let shown = control.show_passkey(&posted.guest.visitor, ceremony, answer).await;
    go_on(&control, &posted, shown, "error-passkey").await
}

/// Where somebody goes who showed something.
async fn go_on(
    control: &Control,
    posted: &Posted,
    shown: Result<Shown, Error>,
    wrong: &'static str,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let sealed = posted.field("visit");
    let visit = control.open_visit(sealed, control.now());
    if visit.is_none() && !sealed.is_empty() {
        return Ok(expired(control, guest));
    }
    let trouble = match shown.map_err(|error| Trouble::of(error, guest.language))? {
        Shown::Proved(proof) => return arrive(control, guest, &proof, (sealed, visit.as_ref())).await,
        Shown::Half { ticket, has_codes } => {
            let view =
                SecondFactor { page: guest.page(control), visit: sealed.to_owned(), ticket, has_codes };
            let target = visit.as_ref().and_then(|visit| visit.target.as_deref());
            return Ok(html(guest, StatusCode::OK, view.html(), target));
        }
        Shown::Wrong => wrong,
        Shown::Slow => "error-slow",
        Shown::Busy => "error-busy",
    };
    show(control, guest, (sealed, visit.as_ref()), posted.field("name"), Some(trouble)).await
}

/// Somebody proved themself: they get a session and go on to what they came for.
async fn arrive(
    control: &Control,
    guest: &Guest,
    proof: &Proof,
    (sealed, visit): (&str, Option<&Visit>),
) -> Result<Response, Trouble> {
    let signed_in = control.sign_in(proof, guest.session.as_ref(), &guest.visitor).await;
    let (secret, session) = signed_in.map_err(|error| Trouble::of(error, guest.language))?;
    let onward = match visit {
        // Not strongly enough: once more, with what is strong enough.
        Some(visit) if !Control::is_enough(&session, visit) => format!("{LOGIN_PATH}?visit={sealed}"),
        Some(visit) => visit.onward(sealed),
        None => "/account".to_owned(),
    };
    Ok(redirect(&onward, &[cookie_of(&secret)]))
}

async fn join(State(control): State<Control>, guest: Guest, Path(code): Path<String>) -> Response {
    let view = Join { page: guest.page(&control), code };
    html(&guest, StatusCode::OK, view.html(), None)
}

async fn accept(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    if !control.inner().tries.admit_address(&guest.visitor.address, control.now()) {
        return Err(Trouble::Busy(guest.language));
    }
    let proof = match control.accept_invitation(posted.field("code")).await {
        Ok(proof) => proof,
        Err(Error::Refused(refusal)) if refusal.class == base::Class::Missing => {
            return Err(Trouble::Link(guest.language));
        }
        Err(error) => return Err(Trouble::of(error, guest.language)),
    };
    let signed_in = control.sign_in(&proof, guest.session.as_ref(), &guest.visitor).await;
    let (secret, _) = signed_in.map_err(|error| Trouble::of(error, guest.language))?;
    Ok(redirect("/account/setup", &[cookie_of(&secret)]))
}

async fn ask_way_back(State(control): State<Control>, guest: Guest) -> Result<Response, Trouble> {
    if !control.sends_mail() {
        return Err(Trouble::Missing(guest.language));
    }
    let view = Recover { page: guest.page(&control) };
    Ok(html(&guest, StatusCode::OK, view.html(), None))
}

async fn way_back(State(control): State<Control>, posted: Posted) -> Response {
    let guest = &posted.guest;
    control.recover(&guest.visitor.address, posted.field("name"), guest.language);
    let view = Message::of(guest.page(&control), "notice-mail").then(LOGIN_PATH, "notice-sign-in");
    html(guest, StatusCode::OK, view.html(), None)
}

async fn ask_sign_out(State(control): State<Control>, guest: Guest, uri: Uri) -> Response {
    let sealed = parameter(&uri, "visit");
    let visit = control.open_visit(&sealed, control.now());
    let target = visit.and_then(|visit| visit.target);
    let view = ConfirmSignOut { page: guest.page(&control), visit: sealed };
    html(&guest, StatusCode::OK, view.html(), target.as_deref())
}

async fn sign_out(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    if let Some(session) = &guest.session {
        let ended =
            control.end_sessions(session, session.person(), Which::One(&session.session.id), "signed_out");
        ended.await.map_err(|error| Trouble::of(error, guest.language))?;
    }
    let visit = control.open_visit(posted.field("visit"), control.now());
    if let Some(Visit { purpose: Purpose::SignOut(Some(target)), .. }) = visit {
        return Ok(redirect(&target, &[Cookie::Session.clear()]));
    }
    let page = pages::Page { person: None, ..guest.page(&control) };
    let view = Message::of(page, "notice-signed-out").then(LOGIN_PATH, "notice-sign-in");
    let mut response = html(guest, StatusCode::OK, view.html(), None);
    if let Some(cookie) = Cookie::Session.clear() {
        response.headers_mut().append(http::header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Whoever came took too long, or came with something that is not ours.
pub(crate) fn expired(control: &Control, guest: &Guest) -> Response {
    let view = Message::of(guest.page(control), "error-expired").then("/account", "notice-account");
    html(guest, StatusCode::BAD_REQUEST, view.html(), None)
}
