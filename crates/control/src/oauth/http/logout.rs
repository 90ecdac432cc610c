//! A client sends somebody here to sign out (OpenID Connect RP-Initiated Logout 1.0).

use axum::{extract::State, response::Response};
use base::Actor;
use http::Uri;
use wire::{
    jose::unverified_claim,
    oauth::{Form, RedirectUri},
};

use crate::{
    control::Control,
    http::page::{Guest, Posted, Trouble, redirect},
    login::{Purpose, Visit},
};

pub(super) async fn begin(
    State(control): State<Control>,
    guest: Guest,
    uri: Uri,
) -> Result<Response, Trouble> {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let form = form.map_err(|_| Trouble::Broken(guest.language))?;
    ask(&control, &guest, &form).await
}

pub(super) async fn begin_by_form(
    State(control): State<Control>,
    posted: Posted,
) -> Result<Response, Trouble> {
    ask(&control, &posted.guest, &posted.form).await
}

/// The person is asked, whatever the client says: a page of another site must not sign anybody out. They go on only to an
/// address that the client registered for this.
async fn ask(control: &Control, guest: &Guest, form: &Form) -> Result<Response, Trouble> {
    let ctx = control.ctx(Actor::Anonymous);
    // What the hint says only chooses among addresses that are registered; nothing is believed of it.
    let hinted = form.get("id_token_hint").and_then(|token| unverified_claim(token, "aud").ok().flatten());
    let client_id = form.get("client_id").map(str::to_owned).or(hinted);
    let client = match client_id {
        Some(id) => control.known_client(&id, &ctx).await.ok(),
        None => None,
    };
    let asked = form.get("post_logout_redirect_uri").and_then(|uri| RedirectUri::parse(uri).ok());
    let registered = asked.filter(|asked| {
        client
            .as_ref()
            .is_some_and(|client| client.metadata.post_logout_redirect_uris.iter().any(|uri| asked.is(uri)))
    });
    let target = registered.map(|uri| match form.get("state") {
        Some(state) => uri.with(&[("state", state)]),
        None => uri.to_string(),
    });
    let visit = Visit {
        purpose: Purpose::SignOut(target.clone()),
        came: ctx.now,
        client: client.map(|client| client.metadata.client_name.clone()),
        target,
        anew: false,
        level: None,
        hint: None,
    };
    let sealed = control.seal_visit(&visit).map_err(|fault| Trouble::of(fault.into(), guest.language))?;
    Ok(redirect(&format!("/logout?visit={sealed}"), &[]))
}
