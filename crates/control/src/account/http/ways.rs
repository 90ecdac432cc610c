//! Making, changing and ending the ways in.

use axum::{
    extract::{Path, State},
    response::Response,
};
use base::{AuthenticatorId, Error, Refuse as _, Secret};
use http::{StatusCode, Uri};
use pages::{Codes, Notice, Page, Setup, TotpSetup};

use super::{ACCOUNT, changing, onward, show, signed_in, trouble};
use crate::{
    authenticator::{AuthenticatorKind, AuthenticatorRefusal, PASSWORD_CHARACTERS_MIN, Seed},
    control::Control,
    http::page::{Guest, Posted, Trouble, html, redirect},
    login::{begin_passkey, parameter},
    principal::Level,
    session::{InSession, Which},
};

const SEED: &[u8] = b"totp seed";

pub(super) async fn setup(
    State(control): State<Control>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, Trouble> {
    let (session, _) = changing(&control, &guest, "/account/setup").await?;
    let view = setup_view(&control, &guest, session, (parameter(&uri, "visit"), None)).await?;
    Ok(html(&guest, StatusCode::OK, view.html(), None))
}

async fn setup_view(
    control: &Control,
    guest: &Guest,
    session: &InSession,
    (visit, notice): (String, Option<Notice>),
) -> Result<Setup, Trouble> {
    let passkey = begin_passkey(control, Some(session.person())).await.map_err(trouble(guest))?;
    Ok(Setup {
        page: guest.page_with(control, notice),
        visit,
        name: control.snapshot().people.name_of(session.person()),
        passkey,
        password_min: PASSWORD_CHARACTERS_MIN,
    })
}

pub(super) async fn add_passkey(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, _) = changing(&control, guest, "/account/setup").await?;
    let (label, ceremony) = (posted.field("label"), posted.field("ceremony"));
    let added = control.show_new_passkey(session, label, ceremony, posted.field("response")).await;
    match added {
        Ok(true) => raised(&control, guest, session, onward(&control, &posted)).await,
        Ok(false) | Err(Error::Refused(_)) => {
            let notice = Some(Notice::Trouble("error-passkey"));
            let view =
                setup_view(&control, guest, session, (posted.field("visit").to_owned(), notice)).await?;
            Ok(html(guest, StatusCode::BAD_REQUEST, view.html(), None))
        }
        Err(error) => Err(Trouble::of(error, guest.language)),
    }
}

/// On, for whoever made a way in. Whoever came by a link has proved that they hold it: the session is a real one from now on.
async fn raised(
    control: &Control,
    guest: &Guest,
    session: &InSession,
    mut onward: Response,
) -> Result<Response, Trouble> {
    if session.session.proof.level == Level::Link
        && let Some(cookie) = control.raise_after_setup(session).await.map_err(trouble(guest))?
    {
        onward.headers_mut().append(http::header::SET_COOKIE, cookie);
    }
    Ok(onward)
}

pub(super) async fn change_password(
    State(control): State<Control>,
    guest: Guest,
) -> Result<Response, Trouble> {
    let (session, _) = changing(&control, &guest, "/account/password").await?;
    let view = setup_view(&control, &guest, session, (String::new(), None)).await?;
    let view = Setup { passkey: None, ..view };
    Ok(html(&guest, StatusCode::OK, view.html(), None))
}

pub(super) async fn set_password(
    State(control): State<Control>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, ways) = changing(&control, guest, "/account/password").await?;
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
            let next = if needs_second {
                redirect(&format!("/account/totp?visit={}", posted.field("visit")), &[])
            } else {
                onward(&control, &posted)
            };
            return raised(&control, guest, session, next).await;
        }
        Ok(Err(_busy)) => "error-busy",
        Err(Error::Refused(refusal)) if refusal.code == AuthenticatorRefusal::Known.code() => {
            "error-password-known"
        }
        Err(Error::Refused(_)) => "error-password-short",
        Err(error) => return Err(Trouble::of(error, guest.language)),
    };
    let notice = Some(Notice::Trouble(key));
    let view = setup_view(&control, guest, session, (posted.field("visit").to_owned(), notice)).await?;
    Ok(html(guest, StatusCode::BAD_REQUEST, view.html(), None))
}

pub(super) async fn show_totp(
    State(control): State<Control>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, Trouble> {
    let (session, _) = changing(&control, &guest, "/account/totp").await?;
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
    }
}

pub(super) async fn add_totp(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, _) = changing(&control, guest, "/account/totp").await?;
    let ticket = posted.field("ticket");
    let seed =
        control.store().open_keepsake(ticket, &bound_to(session)).and_then(|seed| Seed::from_bytes(&seed));
    let Some(seed) = seed else { return Err(Trouble::Broken(guest.language)) };
    let code: String = posted.field("code").chars().filter(char::is_ascii_digit).collect();
    match control.add_totp(session, session.person(), &seed, &code).await {
        Ok(codes) => Ok(codes_page(&control, &posted, codes)),
        Err(Error::Refused(refusal)) if refusal.code == AuthenticatorRefusal::Code.code() => {
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

pub(super) async fn new_codes(State(control): State<Control>, posted: Posted) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, _) = changing(&control, guest, ACCOUNT).await?;
    let codes = control.new_recovery_codes(session, session.person()).await.map_err(trouble(guest))?;
    Ok(codes_page(&control, &posted, codes))
}

pub(super) async fn rename(
    State(control): State<Control>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let session = signed_in(&control, guest)?;
    let id: AuthenticatorId = id.parse().map_err(|_| Trouble::Missing(guest.language))?;
    let renamed = control.rename_authenticator(session, session.person(), &id, posted.field("label")).await;
    renamed.map_err(trouble(guest))?;
    Ok(redirect("/account?done=saved", &[]))
}

pub(super) async fn remove(
    State(control): State<Control>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let guest = &posted.guest;
    let (session, _) = changing(&control, guest, ACCOUNT).await?;
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
