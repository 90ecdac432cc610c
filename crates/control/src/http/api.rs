//! Operations: the one list that everything about the API is made from.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::Bytes,
    handler::Handler,
    http::{StatusCode, header},
    middleware,
    routing::{self, MethodRouter},
};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema, openapi::RefOr, openapi::schema::Schema};

use super::{
    error::ApiError,
    gate::{self, Gate},
};
use crate::control::Control;

/// What an operation asks of its asker, before anything else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nobody,
    /// A credential; the operation itself shows each asker what is theirs.
    Anyone,
    /// The permission to read everything.
    Audit,
    /// The permission to change everything.
    Administer,
}

/// One operation of the API.
#[derive(Clone, Debug)]
pub struct Operation {
    /// `get`, `put`, `post` or `delete`.
    pub method: &'static str,
    /// The path, with parameters in braces.
    pub path: String,
    /// Its name, unique.
    pub id: String,
    /// What it does, in one line.
    pub summary: String,
    /// What it needs.
    pub need: Need,
    status: StatusCode,
    query: Vec<(&'static str, Kind, &'static str)>,
    request: Option<Value>,
    response: Option<Value>,
    media: &'static str,
}

impl Operation {
    /// An operation that answers 200 with JSON.
    pub fn new(
        method: &'static str,
        path: impl Into<String>,
        id: impl Into<String>,
        need: Need,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            id: id.into(),
            summary: summary.into(),
            need,
            status: StatusCode::OK,
            query: Vec::new(),
            request: None,
            response: None,
            media: "application/json",
        }
    }

    /// Takes a query parameter that is a text.
    #[must_use]
    pub fn query(self, name: &'static str, what: &'static str) -> Self {
        self.parameter(name, Kind::Text, what)
    }

    /// Takes a query parameter that is a whole number.
    #[must_use]
    pub fn number(self, name: &'static str, what: &'static str) -> Self {
        self.parameter(name, Kind::Number, what)
    }

    /// Takes a query parameter that is `true` or `false`.
    #[must_use]
    pub fn flag(self, name: &'static str, what: &'static str) -> Self {
        self.parameter(name, Kind::Flag, what)
    }

    fn parameter(mut self, name: &'static str, kind: Kind, what: &'static str) -> Self {
        self.query.push((name, kind, what));
        self
    }

    /// Answers with something else than JSON.
    #[must_use]
    pub const fn media(mut self, media: &'static str) -> Self {
        self.media = media;
        self
    }

    fn described(&self) -> Value {
        let in_path = parameters(&self.path).map(
            |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        );
        let in_query = self.query.iter().map(|(name, kind, what)| {
            json!({ "name": name, "in": "query", "required": false, "description": what, "schema": kind.schema() })
        });
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        let mut answer = json!({ "description": "done" });
        if let Some(schema) = &self.response {
            answer["content"] = json!({ self.media: { "schema": schema } });
        }
        let refused = json!({
            "description": "refused; the body says why and what to do",
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } } },
        });
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": parameters,
            "responses": { self.status.as_str(): answer, "4XX": refused, "5XX": refused },
            "x-writ-needs": format!("{:?}", self.need).to_lowercase(),
        });
        if let Some(schema) = &self.request {
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        if self.need != Need::Nobody {
            operation["security"] = json!([{ "token": [] }]);
        }
        operation
    }
}

/// What a parameter is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Number,
    Flag,
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Number => json!({ "type": "integer", "format": "int64" }),
            Self::Flag => json!({ "type": "boolean" }),
        }
    }
}

/// The names in braces of a path.
fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

/// The API in the making.
pub struct Api {
    control: Control,
    router: Router<Control>,
    operations: Vec<Operation>,
    schemas: BTreeMap<String, Value>,
}

impl Api {
    pub(super) fn new(control: Control) -> Self {
        let api = Self { control, router: Router::new(), operations: Vec::new(), schemas: BTreeMap::new() };
        let mut api = api;
        api.schema::<super::error::ErrorBody>();
        api
    }

    /// Adds an operation that answers with `A` and takes no body.
    #[must_use]
    pub fn answers<A: ToSchema, H, T>(mut self, mut operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        operation.response = Some(self.schema::<A>());
        self.add(operation, handler)
    }

    /// Adds an operation that answers with many `A` and takes no body.
    #[must_use]
    pub fn lists<A: ToSchema, H, T>(mut self, mut operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        operation.response = Some(json!({ "type": "array", "items": self.schema::<A>() }));
        self.add(operation, handler)
    }

    /// Adds an operation that takes `B` and answers with `A`.
    #[must_use]
    pub fn takes<B: ToSchema, A: ToSchema, H, T>(mut self, mut operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        operation.request = Some(self.schema::<B>());
        operation.response = Some(self.schema::<A>());
        self.add(operation, handler)
    }

    /// Adds an operation whose schemas are given as they are.
    #[must_use]
    pub(super) fn described<H, T>(
        self,
        mut operation: Operation,
        request: Option<Value>,
        response: Option<Value>,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        operation.request = request;
        operation.response = response;
        self.add(operation, handler)
    }

    fn add<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Control>,
        T: 'static,
    {
        let route: MethodRouter<Control> = match operation.method {
            "get" => routing::get(handler),
            "put" => routing::put(handler),
            "post" => routing::post(handler),
            "delete" => routing::delete(handler),
            other => unreachable!("`{other}` is no method of the API"),
        };
        let takes_body = operation.request.is_some();
        let gate = Gate { control: self.control.clone(), need: operation.need, takes_body };
        let guard = middleware::from_fn_with_state(gate, gate::guard);
        self.router = self.router.route(&operation.path, route.route_layer(guard));
        self.operations.push(operation);
        self
    }

    /// Keeps a schema and those that it refers to; answers with a reference to it.
    pub(super) fn schema<S: ToSchema>(&mut self) -> Value {
        let mut found: Vec<(String, RefOr<Schema>)> =
            vec![(S::name().into_owned(), <S as PartialSchema>::schema())];
        S::schemas(&mut found);
        for (name, schema) in found {
            self.schemas.insert(name, serde_json::to_value(schema).unwrap_or(Value::Null));
        }
        json!({ "$ref": format!("#/components/schemas/{}", S::name()) })
    }

    /// All operations, in the order in which they were added.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The OpenAPI document (3.1).
    pub fn openapi(&self) -> Value {
        let mut paths: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
        for operation in &self.operations {
            paths.entry(&operation.path).or_default().insert(operation.method, operation.described());
        }
        json!({
            "openapi": "3.1.0",
            "info": { "title": "Writ", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0" } },
            "paths": paths,
            "components": {
                "schemas": self.schemas,
                "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            },
        })
    }

    pub(super) fn into_router(self) -> Router {
        // One text for all who ask: nobody is known here, and nobody needs to read what they ask for.
        let document = Bytes::from(self.openapi().to_string());
        let openapi = routing::get(move || {
            std::future::ready(([(header::CONTENT_TYPE, "application/json")], document))
        });
        let nowhere = || std::future::ready(ApiError::missing());
        self.router
            .route("/api/v1/openapi.json", openapi)
            .route("/api/{*rest}", routing::any(nowhere))
            .method_not_allowed_fallback(|| std::future::ready(ApiError::method()))
            .with_state(self.control)
    }
}
