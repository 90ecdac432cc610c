//! Credentials over the API.

use std::sync::Arc;

use axum::{Json, extract::State};
use base::AnyId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{At, Input},
    error::ApiError,
    kinds::Done,
};
use crate::{
    authority::Authority,
    client::Client,
    control::Control,
    credential::{ApiToken, Credential, CredentialRefusal, Proof, Standing},
    draft::Outcome,
    kind::Kind,
    principal::{Agent, Person, Workload},
    snapshot::Snapshot,
};

/// A key to be registered, or a secret to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCredential {
    /// What to call it.
    label: String,
    /// The public key (RFC 7517).
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    jwk: Option<Value>,
    /// Make a shared secret instead; discouraged.
    #[serde(default)]
    secret: bool,
    /// How long it lives.
    #[serde(default)]
    expires_seconds: Option<i64>,
}

/// An API token to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What to call it.
    label: String,
    /// How long it lives.
    #[serde(default)]
    expires_seconds: Option<i64>,
}

/// What was made. A secret or token is shown this once.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
struct Made {
    /// The id.
    id: String,
    /// The secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// A credential or API token, without what it proves with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CredentialView {
    /// The id.
    id: String,
    /// `key`, `secret` or `api_token`.
    kind: &'static str,
    /// What it is called.
    label: String,
    /// A key's RFC 7638 thumbprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbprint: Option<String>,
    /// When it was made, RFC 3339.
    created: String,
    /// When it ends by itself, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// Whether a person ended it.
    revoked: bool,
    /// `active`, `dead` after a stop, `revoked` or `expired`; whether its principal is at work is not asked here.
    state: &'static str,
    /// Where in the log the stop stands that made it dead; absent after an older database came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_since: Option<i64>,
}

impl CredentialView {
    fn of_credential(credential: &Credential, standing: Standing) -> Self {
        let (kind, thumbprint) = match &credential.proof {
            Proof::Key { thumbprint, .. } => ("key", Some(thumbprint.clone())),
            Proof::Secret { .. } => ("secret", None),
        };
        Self {
            id: credential.id.to_string(),
            kind,
            label: credential.label.clone(),
            thumbprint,
            created: credential.created.to_string(),
            expires: credential.expires.map(|expires| expires.to_string()),
            revoked: credential.revoked,
            state: standing.as_str(),
            dead_since: standing.dead_since().map(|position| position.0),
        }
    }

    fn of_token(token: &ApiToken, standing: Standing) -> Self {
        Self {
            id: token.id.to_string(),
            kind: "api_token",
            label: token.label.clone(),
            thumbprint: None,
            created: token.created.to_string(),
            expires: token.expires.map(|expires| expires.to_string()),
            revoked: token.revoked,
            state: standing.as_str(),
            dead_since: standing.dead_since().map(|position| position.0),
        }
    }
}

pub(super) fn operations(api: Api) -> Api {
    let api = credentials_of::<Agent>(api, "an agent");
    let api = credentials_of::<Workload>(api, "a workload");
    let api = credentials_of::<Client>(api, "a client");
    let api = tokens_of::<Person>(api, "a person");
    let api = tokens_of::<Workload>(api, "a workload");
    let end = |path, id, what| Operation::new("delete", path, id, Need::Anyone, what);
    api.answers::<Done, _, _>(
        end("/api/v1/credentials/{id}", "revoke_credential", "Ends a credential."),
        revoke_credential,
    )
    .answers::<Done, _, _>(end("/api/v1/tokens/{id}", "revoke_token", "Ends an API token."), revoke_token)
}

/// Credentials of one kind of principal; `whose` is its word with an article.
fn credentials_of<K: Kind>(api: Api, whose: &str) -> Api {
    let (path, word) = (format!("/api/v1/{}/{{name}}/credentials", K::PLURAL), word::<K>());
    let add = Operation::new(
        "post",
        &path,
        format!("add_{word}_credential"),
        Need::Anyone,
        format!("Registers a key of {whose}, or makes a secret."),
    );
    let list = Operation::new(
        "get",
        &path,
        format!("list_{word}_credentials"),
        Need::Anyone,
        format!("Lists {whose}'s credentials."),
    );
    api.takes::<NewCredential, Made, _, _>(add, add_credential::<K>)
        .lists::<CredentialView, _, _>(list, list_credentials::<K>)
}

/// API tokens of one kind of principal; `whose` is its word with an article.
fn tokens_of<K: Kind>(api: Api, whose: &str) -> Api {
    let (path, word) = (format!("/api/v1/{}/{{name}}/tokens", K::PLURAL), word::<K>());
    let issue = Operation::new(
        "post",
        &path,
        format!("issue_{word}_token"),
        Need::Administer,
        format!("Makes an API token for {whose}."),
    );
    let list = Operation::new(
        "get",
        &path,
        format!("list_{word}_tokens"),
        Need::Anyone,
        format!("Lists {whose}'s API tokens."),
    );
    api.takes::<NewToken, Made, _, _>(issue, issue_token::<K>)
        .lists::<CredentialView, _, _>(list, list_tokens::<K>)
}

/// The kind as it is written in names of operations and in messages, for example `agent`.
fn word<K: Kind>() -> String {
    K::KIND.to_lowercase()
}

/// Whether a principal is a person themself, or what they own.
fn is_theirs(asked: &Asked, known: &Snapshot, principal: &AnyId) -> bool {
    asked.person().is_some_and(|me| AnyId::from(me) == *principal || known.owner_of(principal) == Some(me))
}

/// What the asker may look after: an administrator everything, a person themself and what they own.
fn may_manage(asked: &Asked, known: &Snapshot, principal: &AnyId) -> bool {
    asked.may_administer || is_theirs(asked, known, principal)
}

/// Auditors see what they may not manage.
fn may_see(asked: &Asked, known: &Snapshot, principal: &AnyId) -> bool {
    asked.may_audit || is_theirs(asked, known, principal)
}

/// The right to look after a principal.
fn managing<'a>(asked: &'a Asked, principal: &'a AnyId) -> impl Authority + 'a {
    asked.provided(move |asked, known| {
        let managed = may_manage(asked, known, principal).then_some(());
        managed.ok_or_else(|| CredentialRefusal::Missing.into())
    })
}

/// The principal with this name or id, where `may` says that the asker may know of it.
fn principal<K: Kind>(
    control: &Control,
    asked: &Asked,
    name: &str,
    may: impl Fn(&Asked, &Snapshot, &AnyId) -> bool,
) -> Result<AnyId, ApiError> {
    let known = control.snapshot();
    let id: Option<AnyId> = K::shelf(&known).find(name).map(|thing| thing.id.clone().into());
    let missing = || CredentialRefusal::NoSuchPrincipal(word::<K>(), name.chars().take(64).collect()).into();
    id.filter(|id| may(asked, &known, id)).ok_or_else(missing)
}

async fn add_credential<K: Kind>(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(new): Input<NewCredential>,
) -> Result<Json<Made>, ApiError> {
    let principal = principal::<K>(&control, &asked, &name, may_manage)?;
    let by = managing(&asked, &principal);
    match (new.jwk, new.secret) {
        (Some(jwk), false) => {
            let id = control.add_key(&by, &principal, &new.label, &jwk, new.expires_seconds).await?;
            Ok(Json(Made { id: id.to_string(), ..Made::default() }))
        }
        (None, true) => {
            let (id, secret) = control.add_secret(&by, &principal, &new.label, new.expires_seconds).await?;
            let secret = Some(secret.expose().to_owned());
            Ok(Json(Made { id: id.to_string(), secret, ..Made::default() }))
        }
        _ => Err(ApiError::invalid("give either `jwk`, or `secret: true`")),
    }
}

async fn issue_token<K: Kind>(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(new): Input<NewToken>,
) -> Result<Json<Made>, ApiError> {
    let principal = principal::<K>(&control, &asked, &name, may_manage)?;
    let by = managing(&asked, &principal);
    let (id, token) = control.issue_api_token(&by, &principal, &new.label, new.expires_seconds).await?;
    let token = Some(token.expose().to_owned());
    Ok(Json(Made { id: id.to_string(), token, ..Made::default() }))
}

async fn list_credentials<K: Kind>(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Vec<CredentialView>>, ApiError> {
    let principal = principal::<K>(&control, &asked, &name, may_see)?;
    let known = control.snapshot();
    let view = |credential: &Arc<Credential>| {
        CredentialView::of_credential(credential, known.credential_standing(credential, &asked.ctx))
    };
    Ok(sorted(known.credentials_of(&principal).map(view)))
}

async fn list_tokens<K: Kind>(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Vec<CredentialView>>, ApiError> {
    let principal = principal::<K>(&control, &asked, &name, may_see)?;
    let known = control.snapshot();
    let tokens = known.api_tokens.values().filter(|token| token.principal == principal);
    let view =
        |token: &Arc<ApiToken>| CredentialView::of_token(token, known.api_token_standing(token, &asked.ctx));
    Ok(sorted(tokens.map(view)))
}

/// By id, which is by age.
fn sorted(views: impl Iterator<Item = CredentialView>) -> Json<Vec<CredentialView>> {
    let mut views: Vec<CredentialView> = views.collect();
    views.sort_by(|one, other| one.id.cmp(&other.id));
    Json(views)
}

async fn revoke_credential(
    State(control): State<Control>,
    asked: Asked,
    At(id): At<String>,
) -> Result<Json<Done>, ApiError> {
    let id = id.parse().map_err(|_| CredentialRefusal::Missing)?;
    let principal = control.snapshot().credentials.get(&id).map(|credential| credential.principal.clone());
    let principal = principal.ok_or(CredentialRefusal::Missing)?;
    control.revoke_credential(&managing(&asked, &principal), &id).await?;
    Ok(Json(Done::new(Outcome::Removed, id.as_str(), None)))
}

async fn revoke_token(
    State(control): State<Control>,
    asked: Asked,
    At(id): At<String>,
) -> Result<Json<Done>, ApiError> {
    let id = id.parse().map_err(|_| CredentialRefusal::Missing)?;
    let is_it = |token: &&Arc<ApiToken>| token.id == id;
    let principal = control.snapshot().api_tokens.values().find(is_it).map(|token| token.principal.clone());
    let principal = principal.ok_or(CredentialRefusal::Missing)?;
    control.revoke_api_token(&managing(&asked, &principal), &id).await?;
    Ok(Json(Done::new(Outcome::Removed, id.as_str(), None)))
}
