//! The API under `/api/v1`: one list of operations, from which routes, the OpenAPI document and the authorisation
//! matrix are made. An operation says what it needs; the guard in front of it asks before its handler runs.

mod api;
mod asker;
mod audit;
mod body;
mod check;
mod credentials;
mod documents;
mod error;
mod gate;
mod invitations;
mod keys;
mod kill;
mod kinds;
mod new_task;
pub(crate) mod page;
mod policies;
mod remedy;
mod secrets;
mod states;
mod status;
mod tasks;
mod tools;

pub use api::{Api, Need, Operation};
pub use asker::{Asked, Asker};
pub use audit::public;
pub use body::{Input, Params};
pub(crate) use body::{Unread, address, read, stranger};
pub(crate) use error::status;
pub use error::{ApiError, ErrorBody};

use axum::Router;

use crate::{
    client::Client,
    control::Control,
    grant::{Grant, Role},
    principal::{Agent, Blueprint, Group, Person, Workload},
    rule::Rule,
    secret::KeptSecret,
};

/// All operations of the API.
pub fn api(control: &Control) -> Api {
    let api = Api::new(control.clone());
    let api = kinds::operations::<Person>(api);
    let api = kinds::operations::<Group>(api);
    let api = kinds::operations::<Workload>(api);
    let api = kinds::operations::<Blueprint>(api);
    let api = kinds::operations::<Agent>(api);
    let api = kinds::operations::<Client>(api);
    let api = invitations::operations(api);
    let api = kinds::operations::<crate::catalogue::Server>(api);
    let api = kinds::operations::<Role>(api);
    let api = kinds::operations::<Grant>(api);
    let api = kinds::operations::<Rule>(api);
    let api = kinds::operations::<KeptSecret>(api);
    let api = states::operations(api);
    let api = tools::operations(api);
    let api = secrets::operations(api);
    let api = credentials::operations(api);
    let api = tasks::operations(api);
    let api = keys::operations(api);
    let api = kill::operations(api);
    let api = check::operations(api);
    let api = policies::operations(api);
    let api = documents::operations(api);
    let api = audit::operations(api);
    status::operations(api)
}

/// The routes of the API, ready to be merged into the server's.
pub fn router(control: &Control) -> Router {
    api(control).into_router()
}
