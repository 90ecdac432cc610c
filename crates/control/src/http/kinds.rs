//! The same four operations for every kind of thing.

use axum::{Json, extract::State};
use base::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{At, Input, Params},
    error::ApiError,
};
use crate::{
    control::Control,
    draft::{Draft, Outcome},
    kind::{Kind, View},
};

/// How to put or remove.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    /// Says what would happen, and changes nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What a put or removal did, or would do.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct Done {
    /// What happened.
    #[schema(value_type = String)]
    outcome: Value,
    /// The thing's name.
    name: String,
    /// The position of the last record; none when nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<i64>,
    /// What is probably not meant; nothing was refused for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// What is left to do, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Done {
    pub(super) fn new(outcome: Outcome, name: &str, position: Option<base::Position>) -> Self {
        let position = position.map(|position| position.0);
        Self { outcome: json!(outcome), name: name.to_owned(), position, warnings: Vec::new(), help: None }
    }

    /// With what is left to do.
    pub(super) fn with_help(self, help: String) -> Self {
        Self { help: Some(help), ..self }
    }
}

/// List, show, put and remove for one kind.
pub(super) fn operations<K: Kind>(mut api: Api) -> Api {
    let (plural, kind) = (K::PLURAL, K::KIND);
    let spec = api.schema::<K::Spec>();
    let done = api.schema::<Done>();
    let view = json!({
        "type": "object",
        "required": ["id", "name", "version", "created", "spec"],
        "properties": {
            "id": { "type": "string" }, "name": { "type": "string" }, "version": { "type": "integer" },
            "created": { "type": "string", "format": "date-time" }, "spec": &spec,
        },
    });
    let views = json!({ "type": "array", "items": view });
    let one = format!("/api/v1/{plural}/{{name}}");
    let all = format!("/api/v1/{plural}");
    let list = Operation::new(
        "get",
        &all,
        format!("list_{plural}"),
        Need::Anyone,
        format!("Lists what the asker may see of kind {kind}."),
    );
    let show = Operation::new(
        "get",
        &one,
        format!("show_{plural}"),
        Need::Anyone,
        format!("Shows one {kind}, by name or id."),
    );
    let put = Operation::new(
        "put",
        &one,
        format!("put_{plural}"),
        Need::Administer,
        format!("Makes a {kind}, or makes it what the body says."),
    )
    .flag("dry_run", "`true`: say what would happen and change nothing");
    let api = api.described(list, None, Some(views), list_things::<K>).described(
        show,
        None,
        Some(view),
        show_thing::<K>,
    );
    let api = api.described(put, Some(spec), Some(done.clone()), put_thing::<K>);
    if K::DELETED.is_none() {
        return api;
    }
    let remove = Operation::new(
        "delete",
        &one,
        format!("delete_{plural}"),
        Need::Administer,
        format!("Removes a {kind} that nothing stands on."),
    )
    .flag("dry_run", "`true`: say what would happen and change nothing");
    api.described(remove, None, Some(done), remove_thing::<K>)
}

async fn list_things<K: Kind>(State(control): State<Control>, asked: Asked) -> Json<Vec<View<K::Spec>>> {
    let known = control.snapshot();
    let seen =
        K::shelf(&known).iter().filter(|thing| asked.may_audit || K::belongs_to(thing, asked.person()));
    Json(seen.map(|thing| thing.view(&known)).collect())
}

async fn show_thing<K: Kind>(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<View<K::Spec>>, ApiError> {
    let known = control.snapshot();
    let thing =
        K::shelf(&known).find(&name).filter(|thing| asked.may_audit || K::belongs_to(thing, asked.person()));
    let no_such = || {
        let seen = K::shelf(&known).iter();
        let seen = seen.filter(|thing| asked.may_audit || K::belongs_to(thing, asked.person()));
        ApiError::missing_like(base::nearest(&name, seen.map(|thing| thing.name.as_ref())))
    };
    thing.map(|thing| Json(thing.view(&known))).ok_or_else(no_such)
}

async fn put_thing<K: Kind>(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Params(how): Params<How>,
    Input(spec): Input<K::Spec>,
) -> Result<Json<Done>, ApiError> {
    let make = |draft: &mut Draft| {
        let outcome = draft.put::<K>(&name, spec.clone())?;
        Ok((outcome, draft.warnings::<K>(&name)))
    };
    done(&control, &asked, &how, &name, make).await
}

async fn remove_thing<K: Kind>(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
    Params(how): Params<How>,
) -> Result<Json<Done>, ApiError> {
    let make = |draft: &mut Draft| Ok((draft.remove::<K>(&name)?, Vec::new()));
    done(&control, &asked, &how, &name, make).await
}

async fn done(
    control: &Control,
    asked: &Asked,
    how: &How,
    name: &str,
    make: impl Fn(&mut Draft) -> Result<(Outcome, Vec<String>), Error> + Send,
) -> Result<Json<Done>, ApiError> {
    let ((outcome, warnings), position) =
        if how.dry_run { (control.preview(asked, make)?, None) } else { control.change(asked, make).await? };
    Ok(Json(Done { warnings, ..Done::new(outcome, name, position) }))
}
