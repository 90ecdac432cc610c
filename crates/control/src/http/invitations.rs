//! Links by which people come in, over the API.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{At, Input},
    error::ApiError,
};
use crate::{control::Control, credential::CredentialRefusal};

/// How long a link works when nobody says, in seconds: a day.
const SECONDS: i64 = 24 * 3600;
/// How long a link works at most, in seconds: a week.
const SECONDS_MAX: i64 = 7 * 24 * 3600;

/// A link to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInvitation {
    /// How long it works, at most a week; a day when not given.
    #[serde(default)]
    expires_seconds: Option<i64>,
    /// Send it to the person's address, and do not show it.
    #[serde(default)]
    mail: bool,
}

/// A link that was made. It is shown this once, and works once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Invitation {
    /// Whose.
    person: String,
    /// The link; absent where it was sent by mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Until when it works, RFC 3339.
    expires: String,
}

pub(super) fn operations(api: Api) -> Api {
    let what = "Makes a link by which a person comes in: the first time, or after everything else was lost.";
    let invite =
        Operation::new("post", "/api/v1/people/{name}/invitations", "invite_person", Need::Administer, what);
    api.takes::<NewInvitation, Invitation, _, _>(invite, invite_person)
}

async fn invite_person(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(new): Input<NewInvitation>,
) -> Result<Json<Invitation>, ApiError> {
    let seconds = new.expires_seconds.unwrap_or(SECONDS);
    if !(60..=SECONDS_MAX).contains(&seconds) {
        return Err(ApiError::invalid("`expires_seconds` must be from 60 to 604800"));
    }
    let missing = || CredentialRefusal::NoSuchPrincipal("person".into(), name.chars().take(64).collect());
    let person =
        control.snapshot().people.find(&name).map(|person| (person.id.clone(), person.name.to_string()));
    let (id, person) = person.ok_or_else(missing)?;
    if new.mail {
        control.mail_link(&asked, &id, seconds, pages::Language::default()).await?;
        let expires = asked.ctx.now.plus_seconds(seconds).to_string();
        return Ok(Json(Invitation { person, url: None, expires }));
    }
    let invited = control.invite(&asked, &id, seconds, None).await?;
    let url = Some(format!("{}{}", control.settings().issuer(), invited.path.expose()));
    Ok(Json(Invitation { person, url, expires: invited.expires.to_string() }))
}
