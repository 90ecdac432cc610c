//! The values of secrets over the API: in, never out.

use axum::{Json, extract::State};
use base::Secret;
use serde::Deserialize;

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{At, Input},
    error::ApiError,
    kinds::Done,
};
use crate::{control::Control, draft::Outcome};

/// The value of a secret.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Value {
    /// The value itself; never shown again.
    #[schema(value_type = String, format = Password)]
    value: Secret,
}

pub(super) fn operations(api: Api) -> Api {
    let what = "Stores or replaces the value of a secret; it is never shown again.";
    let put =
        Operation::new("put", "/api/v1/secrets/{name}/value", "put_secret_value", Need::Administer, what);
    api.takes::<Value, Done, _, _>(put, put_value)
}

async fn put_value(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Input(value): Input<Value>,
) -> Result<Json<Done>, ApiError> {
    let position = control.put_secret_value(&asked, &name, &value.value).await?;
    Ok(Json(Done::new(Outcome::Changed, &name, Some(position))))
}
