//! Credentials over the API.

use axum::{Json, extract::State};
use base::AnyId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    api::{Api, Need, Operation},
    asker::{Asked, Asker},
    body::{At, Input},
    error::ApiError,
    kinds::Done,
};
use crate::{
    control::Control,
    credential::{CredentialRefusal, Proof},
    draft::Outcome,
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
#[derive(Debug, Serialize, utoipa::ToSchema)]
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
    /// Whether it was ended.
    revoked: bool,
}

pub(super) fn operations(api: Api) -> Api {
    let op = |method, path: &str, id: &str, what: &str| Operation::new(method, path, id, Need::Anyone, what);
    let api = api
        .takes::<NewCredential, Made, _, _>(
            op(
                "post",
                "/api/v1/agents/{name}/credentials",
                "add_agent_credential",
                "Registers a key of an agent, or makes a secret.",
            ),
            add_to_agent,
        )
        .takes::<NewCredential, Made, _, _>(
            op(
                "post",
                "/api/v1/workloads/{name}/credentials",
                "add_workload_credential",
                "Registers a key of a workload, or makes a secret.",
            ),
            add_to_workload,
        )
        .lists::<CredentialView, _, _>(
            op(
                "get",
                "/api/v1/agents/{name}/credentials",
                "list_agent_credentials",
                "Lists an agent's credentials.",
            ),
            list_of_agent,
        )
        .lists::<CredentialView, _, _>(
            op(
                "get",
                "/api/v1/workloads/{name}/credentials",
                "list_workload_credentials",
                "Lists a workload's credentials.",
            ),
            list_of_workload,
        );
    api.takes::<NewToken, Made, _, _>(
        Operation::new(
            "post",
            "/api/v1/people/{name}/tokens",
            "issue_person_token",
            Need::Administer,
            "Makes an API token for a person.",
        ),
        token_for_person,
    )
    .takes::<NewToken, Made, _, _>(
        Operation::new(
            "post",
            "/api/v1/workloads/{name}/tokens",
            "issue_workload_token",
            Need::Administer,
            "Makes an API token for a workload.",
        ),
        token_for_workload,
    )
    .lists::<CredentialView, _, _>(
        op("get", "/api/v1/people/{name}/tokens", "list_person_tokens", "Lists a person's API tokens."),
        tokens_of_person,
    )
    .lists::<CredentialView, _, _>(
        op(
            "get",
            "/api/v1/workloads/{name}/tokens",
            "list_workload_tokens",
            "Lists a workload's API tokens.",
        ),
        tokens_of_workload,
    )
    .answers::<Done, _, _>(
        op("delete", "/api/v1/credentials/{id}", "revoke_credential", "Ends a credential."),
        revoke_credential,
    )
    .answers::<Done, _, _>(
        op("delete", "/api/v1/tokens/{id}", "revoke_token", "Ends an API token."),
        revoke_token,
    )
}

/// What the asker may look after: an administrator everything, a person themself and what they own.
fn may_manage(control: &Control, asked: &Asked, principal: &AnyId) -> bool {
    let Asker::Person(me) = &asked.asker else { return asked.may_administer };
    let known = control.snapshot();
    let text = principal.as_str();
    let own_agent = || {
        text.parse().ok().and_then(|id| known.agents.get(&id)).is_some_and(|agent| &agent.body.owner == me)
    };
    let own_workload = || {
        text.parse()
            .ok()
            .and_then(|id| known.workloads.get(&id))
            .is_some_and(|workload| &workload.body.owner == me)
    };
    asked.may_administer || AnyId::from(me) == *principal || own_agent() || own_workload()
}

fn managed(control: &Control, asked: &Asked, word: &'static str, name: &str) -> Result<AnyId, ApiError> {
    let known = control.snapshot();
    let id = match word {
        "agent" => known.agents.find(name).map(|thing| AnyId::from(&thing.id)),
        "workload" => known.workloads.find(name).map(|thing| AnyId::from(&thing.id)),
        _ => known.people.find(name).map(|thing| AnyId::from(&thing.id)),
    };
    drop(known);
    let missing = || CredentialRefusal::NoSuchPrincipal(word, name.chars().take(64).collect()).into();
    id.filter(|id| may_manage(control, asked, id)).ok_or_else(missing)
}

async fn add(
    control: &Control,
    asked: &Asked,
    principal: &AnyId,
    new: NewCredential,
) -> Result<Json<Made>, ApiError> {
    match (new.jwk, new.secret) {
        (Some(jwk), false) => {
            let id = control.add_key(&asked.ctx, principal, &new.label, &jwk, new.expires_seconds).await?;
            Ok(Json(Made { id: id.to_string(), secret: None, token: None }))
        }
        (None, true) => {
            let (id, secret) =
                control.add_secret(&asked.ctx, principal, &new.label, new.expires_seconds).await?;
            Ok(Json(Made { id: id.to_string(), secret: Some(secret.expose().to_owned()), token: None }))
        }
        _ => Err(ApiError::invalid("give either `jwk`, or `secret: true`")),
    }
}

async fn add_to_agent(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(new): Input<NewCredential>,
) -> Result<Json<Made>, ApiError> {
    let principal = managed(&control, &asked, "agent", &name)?;
    add(&control, &asked, &principal, new).await
}

async fn add_to_workload(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(new): Input<NewCredential>,
) -> Result<Json<Made>, ApiError> {
    let principal = managed(&control, &asked, "workload", &name)?;
    add(&control, &asked, &principal, new).await
}

fn seen(control: &Control, asked: &Asked, word: &'static str, name: &str) -> Result<AnyId, ApiError> {
    // Auditors see what they may not manage.
    let watching = Asked { may_administer: asked.may_audit, ..asked.clone() };
    managed(control, &watching, word, name)
}

fn list(control: &Control, principal: &AnyId) -> Json<Vec<CredentialView>> {
    let known = control.snapshot();
    let mut views: Vec<CredentialView> = known
        .credentials_of(principal)
        .map(|credential| {
            let (kind, thumbprint) = match &credential.proof {
                Proof::Key { thumbprint, .. } => ("key", Some(thumbprint.clone())),
                Proof::Secret { .. } => ("secret", None),
            };
            CredentialView {
                id: credential.id.to_string(),
                kind,
                label: credential.label.clone(),
                thumbprint,
                created: credential.created.to_string(),
                expires: credential.expires.map(|expires| expires.to_string()),
                revoked: credential.revoked,
            }
        })
        .collect();
    views.sort_by(|one, other| one.id.cmp(&other.id));
    Json(views)
}

fn tokens(control: &Control, principal: &AnyId) -> Json<Vec<CredentialView>> {
    let known = control.snapshot();
    let mut views: Vec<CredentialView> = known
        .api_tokens
        .values()
        .filter(|token| &token.principal == principal)
        .map(|token| CredentialView {
            id: token.id.to_string(),
            kind: "api_token",
            label: token.label.clone(),
            thumbprint: None,
            created: token.created.to_string(),
            expires: token.expires.map(|expires| expires.to_string()),
            revoked: token.revoked,
        })
        .collect();
    views.sort_by(|one, other| one.id.cmp(&other.id));
    Json(views)
}

async fn list_of_agent(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Vec<CredentialView>>, ApiError> {
    Ok(list(&control, &seen(&control, &asked, "agent", &name)?))
}

async fn list_of_workload(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Vec<CredentialView>>, ApiError> {
    Ok(list(&control, &seen(&control, &asked, "workload", &name)?))
}

async fn tokens_of_person(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Vec<CredentialView>>, ApiError> {
    Ok(tokens(&control, &seen(&control, &asked, "person", &name)?))
}

async fn tokens_of_workload(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Vec<CredentialView>>, ApiError> {
    Ok(tokens(&control, &seen(&control, &asked, "workload", &name)?))
}

async fn issue(
    control: &Control,
    asked: &Asked,
    principal: &AnyId,
    new: NewToken,
) -> Result<Json<Made>, ApiError> {
    let (id, token) = control.issue_api_token(&asked.ctx, principal, &new.label, new.expires_seconds).await?;
    Ok(Json(Made { id: id.to_string(), secret: None, token: Some(token.expose().to_owned()) }))
}

async fn token_for_person(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(new): Input<NewToken>,
) -> Result<Json<Made>, ApiError> {
    let principal = managed(&control, &asked, "person", &name)?;
    issue(&control, &asked, &principal, new).await
}

async fn token_for_workload(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(new): Input<NewToken>,
) -> Result<Json<Made>, ApiError> {
    let principal = managed(&control, &asked, "workload", &name)?;
    issue(&control, &asked, &principal, new).await
}

async fn revoke_credential(
    State(control): State<Control>,
    asked: Asked,
    At(id): At<String>,
) -> Result<Json<Done>, ApiError> {
    let missing = || ApiError::from(CredentialRefusal::Missing);
    let id = id.parse().map_err(|_| missing())?;
    let principal = control
        .snapshot()
        .credentials
        .get(&id)
        .map(|credential| credential.principal.clone())
        .ok_or_else(missing)?;
    if !may_manage(&control, &asked, &principal) {
        return Err(missing());
    }
    control.revoke_credential(&asked.ctx, &id).await?;
    Ok(Json(Done::new(Outcome::Removed, id.as_str(), None)))
}

async fn revoke_token(
    State(control): State<Control>,
    asked: Asked,
    At(id): At<String>,
) -> Result<Json<Done>, ApiError> {
    let missing = || ApiError::from(CredentialRefusal::Missing);
    let id = id.parse().map_err(|_| missing())?;
    let principal = {
        let known = control.snapshot();
        known
            .api_tokens
            .values()
            .find(|token| token.id == id)
            .map(|token| token.principal.clone())
            .ok_or_else(missing)?
    };
    if !may_manage(&control, &asked, &principal) {
        return Err(missing());
    }
    control.revoke_api_token(&asked.ctx, &id).await?;
    Ok(Json(Done::new(Outcome::Removed, id.as_str(), None)))
}
