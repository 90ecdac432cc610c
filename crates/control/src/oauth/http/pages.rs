//! The pages on which people decide.

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{Method, StatusCode, Uri};
use pages::{Device, Message, Notice};

use super::super::{
    authorize::{Next, QUERY_BYTES_MAX},
    device::{plain, shown},
};
use crate::{
    control::Control,
    http::page::{Guest, Posted, Trouble, html, redirect},
    login::{LOGIN_PATH, Purpose, Visit, expired, parameter},
    session::InSession,
};

/// A client sent somebody here. By a form of its own, too (OpenID Connect Core 1.0, section 3.1.2.1).
pub(super) async fn authorize(
    State(control): State<Control>,
    guest: Guest,
    request: Request,
) -> Result<Response, Trouble> {
    let query = if request.method() == Method::POST {
        let (parts, body) = request.into_parts();
        let read = crate::http::read(&parts, body, crate::http::stranger(&parts), QUERY_BYTES_MAX).await;
        let mut held = read.map_err(|_| Trouble::Broken(guest.language))?;
        str::from_utf8(&held.take()).map(str::to_owned).map_err(|_| Trouble::Broken(guest.language))?
    } else {
        request.uri().query().unwrap_or_default().to_owned()
    };
    // Its own choice of a language is not the client's request.
    let query: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("lang=")).collect();
    let next = control.take_request(&query.join("&"), guest.session.as_ref()).await;
    let next = next.map_err(|error| Trouble::of(error, guest.language))?;
    go(&control, &guest, next, None)
}

/// Somebody signed in and goes on with what they came for.
pub(super) async fn consent(
    State(control): State<Control>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, Trouble> {
    let sealed = parameter(&uri, "visit");
    let Some(visit) = control.open_visit(&sealed, control.now()) else {
        return Ok(expired(&control, &guest));
    };
    let next = control.resume(&visit, &sealed, guest.session.as_ref()).await;
    let next = next.map_err(|error| Trouble::of(error, guest.language))?;
    go(&control, &guest, next, Some((&sealed, &visit)))
}

/// Somebody decided.
pub(super) async fn decide(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let sealed = posted.field("visit");
    let Some(visit) = control.open_visit(sealed, control.now()) else { return Ok(expired(&control, guest)) };
    let Some(session) = &guest.session else {
        return Ok(redirect(&format!("{LOGIN_PATH}?visit={sealed}"), &[]));
    };
    let next = control.answer_visit(&visit, sealed, &posted.form, session).await;
    let next = next.map_err(|error| Trouble::of(error, guest.language))?;
    let refused = posted.field("decision") != "allow";
    match next {
        Next::DeviceDone if refused => {
            let view = Message::of(guest.page(&control), "notice-refused");
            Ok(html(guest, StatusCode::OK, view.html(), None))
        }
        next => go(&control, guest, next, Some((sealed, &visit))),
    }
}

/// A person types the code of a device, or follows its link.
pub(super) async fn device(
    State(control): State<Control>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, Trouble> {
    let sealed = parameter(&uri, "visit");
    if sealed.is_empty() {
        let view = Device { page: guest.page(&control), code: shown(&plain(&parameter(&uri, "user_code"))) };
        return Ok(html(&guest, StatusCode::OK, view.html(), None));
    }
    let Some(visit) = control.open_visit(&sealed, control.now()) else {
        return Ok(expired(&control, &guest));
    };
    let next = control.resume(&visit, &sealed, guest.session.as_ref()).await;
    let next = next.map_err(|error| Trouble::of(error, guest.language))?;
    go(&control, &guest, next, Some((&sealed, &visit)))
}

/// A person typed the code of a device.
pub(super) async fn connect(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let code = posted.field("user_code");
    let now = control.now();
    // SECURITY: codes are short, so they are guessed at a pace at which none is found.
    let admitted = control.inner().tries.admit_name("device", &guest.visitor.address, now);
    let found = if admitted {
        control.awaited(code, now).await.map_err(|error| Trouble::of(error, guest.language))?
    } else {
        None
    };
    if found.is_none() {
        let key = if admitted { "error-device-code" } else { "error-slow" };
        let page = guest.page_with(&control, Some(Notice::Trouble(key)));
        let view = Device { page, code: shown(&plain(code)) };
        let status = if admitted { StatusCode::NOT_FOUND } else { StatusCode::TOO_MANY_REQUESTS };
        return Ok(html(guest, status, view.html(), None));
    }
    let visit = Visit {
        purpose: Purpose::Device(plain(code)),
        came: now,
        client: None,
        target: None,
        anew: false,
        level: None,
        hint: None,
    };
    let sealed = control.seal_visit(&visit).map_err(|fault| Trouble::of(fault.into(), guest.language))?;
    Ok(redirect(&format!("/device?visit={sealed}"), &[]))
}

/// Takes somebody to where they go next.
fn go(
    control: &Control,
    guest: &Guest,
    next: Next,
    visit: Option<(&str, &Visit)>,
) -> Result<Response, Trouble> {
    match next {
        Next::Client(address) | Next::Page(address) => Ok(redirect(&address, &[])),
        Next::SignIn(sealed) => Ok(redirect(&format!("{LOGIN_PATH}?visit={sealed}"), &[])),
        Next::Mistake(why) => {
            let view = Message::of(guest.page(control), "error-request").detailed(why);
            Ok(html(guest, StatusCode::BAD_REQUEST, view.html(), None))
        }
        Next::Denied(why) => {
            let view = Message::of(guest.page(control), "error-denied").detailed(why);
            Ok(html(guest, StatusCode::FORBIDDEN, view.html(), None))
        }
        Next::DeviceDone => {
            let view = Message::of(guest.page(control), "notice-device");
            Ok(html(guest, StatusCode::OK, view.html(), None))
        }
        Next::Decide(both) => ask(control, guest, &both, visit, None),
        Next::Again(both, key) => ask(control, guest, &both, visit, Some(key)),
    }
}

fn ask(
    control: &Control,
    guest: &Guest,
    (answering, asked): &(super::super::asked::Answering, super::super::asked::Asked),
    visit: Option<(&str, &Visit)>,
    trouble: Option<&'static str>,
) -> Result<Response, Trouble> {
    let (Some(session), Some((sealed, visit))) = (&guest.session, visit) else {
        return Err(Trouble::First(LOGIN_PATH.into()));
    };
    let session: &InSession = session;
    let page = guest.page_with(control, trouble.map(Notice::Trouble));
    match control.consent_page(page, sealed, (answering, asked), session) {
        Ok(view) => {
            let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            Ok(html(guest, status, view.html(), visit.target.as_deref()))
        }
        Err(unwanted) => match unwanted.for_client() {
            Some(error) if matches!(visit.purpose, Purpose::Authorize(_)) => {
                Ok(redirect(&answering.refusal(&error), &[]))
            }
            Some(_) | None => Err(Trouble::Broken(guest.language)),
        },
    }
}
