//! What policies are written against.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::Params,
    error::ApiError,
};
use crate::{control::Control, judge};

/// Which part of the schema.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    tool: Option<String>,
}

/// The schema that policies are checked against.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PolicySchema {
    /// In Cedar's language of schemas.
    schema: String,
}

pub(super) fn operations(api: Api) -> Api {
    let schema = Operation::new(
        "get",
        "/api/v1/policy-schema",
        "policy_schema",
        Need::Audit,
        "The Cedar schema that policies are checked against.",
    )
    .query("tool", "`SERVER/TOOL`: leave out the other tools");
    api.answers::<PolicySchema, _, _>(schema, policy_schema)
}

async fn policy_schema(
    State(control): State<Control>,
    _asked: Asked,
    Params(which): Params<Which>,
) -> Result<Json<PolicySchema>, ApiError> {
    let schema = judge::schema(&control.snapshot(), which.tool.as_deref())?;
    schema.map(|schema| Json(PolicySchema { schema })).ok_or_else(ApiError::missing)
}
