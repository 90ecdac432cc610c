//! Signing keys over the API.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use wire::jose::Algorithm;

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{At, Input},
    error::ApiError,
    kinds::Done,
};
use crate::{
    control::Control,
    draft::Outcome,
    key::{KeyRefusal, KeyState},
};

/// A signing key, without its private half.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct KeyView {
    /// Its id.
    id: String,
    /// Its key id in tokens and in the JWKS.
    kid: String,
    /// `ES256`, `RS256` or `EdDSA`.
    algorithm: String,
    /// Its state.
    state: KeyState,
    /// When it was made, RFC 3339.
    created: String,
    /// When it stopped signing, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_until: Option<String>,
}

/// Which key to rotate.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// `ES256`, `RS256` or `EdDSA`.
    algorithm: String,
}

pub(super) fn operations(api: Api) -> Api {
    api.lists::<KeyView, _, _>(
        Operation::new("get", "/api/v1/keys", "list_keys", Need::Audit, "Lists Writ's signing keys."),
        list_keys,
    )
    .takes::<Rotate, Done, _, _>(
        Operation::new(
            "post",
            "/api/v1/keys/rotate",
            "rotate_key",
            Need::Administer,
            "Makes a new signing key; the one before it verifies until what it signed has expired.",
        ),
        rotate_key,
    )
    .answers::<Done, _, _>(
        Operation::new(
            "delete",
            "/api/v1/keys/{id}",
            "revoke_key",
            Need::Administer,
            "Ends a signing key that no longer signs: nothing it signed is valid any more.",
        ),
        revoke_key,
    )
}

async fn list_keys(State(control): State<Control>, _asked: Asked) -> Json<Vec<KeyView>> {
    let known = control.snapshot();
    let mut views: Vec<KeyView> = known
        .keys
        .values()
        .map(|key| KeyView {
            id: key.id.to_string(),
            kid: key.kid.clone(),
            algorithm: key.algorithm.clone(),
            state: key.state,
            created: key.created.to_string(),
            signed_until: key.signed_until.map(|until| until.to_string()),
        })
        .collect();
    views.sort_by(|one, other| one.id.cmp(&other.id));
    Json(views)
}

async fn rotate_key(
    State(control): State<Control>,
    asked: Asked,
    Input(rotate): Input<Rotate>,
) -> Result<Json<Done>, ApiError> {
    let algorithm = Algorithm::parse(&rotate.algorithm)
        .ok_or_else(|| KeyRefusal::Algorithm(rotate.algorithm.chars().take(32).collect()))?;
    let id = control.rotate_key(&asked, algorithm).await?;
    Ok(Json(Done::new(Outcome::Created, id.as_str(), None)))
}

async fn revoke_key(
    State(control): State<Control>,
    asked: Asked,
    At(id): At<String>,
) -> Result<Json<Done>, ApiError> {
    let id = id.parse().map_err(|_| ApiError::missing())?;
    control.revoke_key(&asked, &id).await?;
    Ok(Json(Done::new(Outcome::Removed, id.as_str(), None)))
}
