//! Tasks of servers: an answer that comes later, under an id of the server.
//!
//! SECURITY: to the server every client of the gate looks alike, so an id of a task must not be enough to read its result
//! (threat class 18). A client gets each id sealed for its holder and the server; what does not open is unknown here and
//! reaches nobody.

use wire::{
    json::{Json, Object},
    mcp::{Method, Notification, Request as Message, RpcError, TASKS_EXTENSION, code, meta},
};

use crate::{Holder, Plane, Request, Upstream};

/// Seals and opens the ids for one holder and one server.
pub(crate) struct Ids<'a, P: Plane> {
    plane: &'a P,
    bound: Vec<u8>,
}

impl<'a, P: Plane> Ids<'a, P> {
    pub(crate) fn new(plane: &'a P, holder: &Holder, upstream: &Upstream) -> Self {
        let Holder { actor, task } = holder;
        Self { plane, bound: format!("server task\0{actor}\0{task}\0{}", upstream.id).into_bytes() }
    }

    /// Puts the server's ids into a request. Fails with `-32602` where one is not this client's.
    pub(crate) fn open_in(&self, message: &mut Message) -> Result<(), RpcError> {
        let names_task = matches!(
            Method::parse(&message.method),
            Some(Method::TasksGet | Method::TasksResult | Method::TasksCancel | Method::TasksUpdate)
        );
        let Some(params) = message.params.as_mut().and_then(Json::as_object_mut) else {
            return if names_task { Err(unknown()) } else { Ok(()) };
        };
        if names_task {
            self.open(params.get_mut(ID).ok_or_else(unknown)?)?;
        }
        match related(params) {
            Some(id) => self.open(id),
            None => Ok(()),
        }
    }

    fn open(&self, id: &mut Json) -> Result<(), RpcError> {
        let opened = id.as_str().and_then(|sealed| self.plane.unseal(sealed, &self.bound));
        let opened = opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unknown)?;
        *id = Json::String(opened);
        Ok(())
    }

    /// Puts the client's ids into a result.
    pub(crate) fn seal_in(&self, result: &mut Json, asked: &Request) {
        let Some(members) = result.as_object_mut() else { return };
        let is_task = members.get("resultType").and_then(Json::as_str) == Some("task");
        if is_task || *asked == Request::Tasks {
            self.seal_member(members);
        }
        // 2025-11-25: a call that became a task answers with it; a list holds many.
        let is_created = members.get("content").is_none();
        if is_created && let Some(task) = members.get_mut("task").and_then(Json::as_object_mut) {
            self.seal_member(task);
        }
        if *asked == Request::Tasks
            && let Some(Json::Array(tasks)) = members.get_mut("tasks")
        {
            for task in tasks.iter_mut().filter_map(Json::as_object_mut) {
                self.seal_member(task);
            }
        }
        self.seal_related(members);
    }

    /// Puts the client's ids into a notification.
    pub(crate) fn seal_in_notice(&self, notification: &mut Notification, is_status: bool) {
        let Some(params) = notification.params.as_mut().and_then(Json::as_object_mut) else { return };
        if is_status {
            self.seal_member(params);
        }
        self.seal_related(params);
    }

    fn seal(&self, id: &mut Json) {
        if let Json::String(id) = id {
            *id = self.plane.seal(id.as_bytes(), &self.bound);
        }
    }

    fn seal_member(&self, members: &mut Object) {
        if let Some(id) = members.get_mut(ID) {
            self.seal(id);
        }
    }

    fn seal_related(&self, members: &mut Object) {
        if let Some(id) = related(members) {
            self.seal(id);
        }
    }
}

const ID: &str = "taskId";

/// The id of the task that something belongs to.
fn related(members: &mut Object) -> Option<&mut Json> {
    let about = members.get_mut("_meta")?.as_object_mut()?.get_mut(meta::RELATED_TASK)?;
    about.as_object_mut()?.get_mut(ID)
}

fn unknown() -> RpcError {
    RpcError::invalid_params("there is no such task of yours").with_code("unknown_task")
}

/// What a client of 2026-07-28 lacks that asks about tasks without having declared them.
pub(crate) fn undeclared(capabilities: &Object) -> Option<RpcError> {
    let declared = capabilities.get("extensions").and_then(|extensions| extensions.get(TASKS_EXTENSION));
    if declared.is_some() {
        return None;
    }
    let extension = Json::object([(TASKS_EXTENSION, Json::Object(Object::new()))]);
    let required = Json::object([("extensions", extension)]);
    let data = Some(Json::object([("requiredCapabilities", required)]));
    let why = "the client did not declare the extension for tasks";
    Some(RpcError { data, ..RpcError::new(code::MISSING_CAPABILITY, why) })
}
