//! Tasks of servers: an answer that comes later, under an id of the server.
//!
//! SECURITY: to the server every client of the gate looks alike, so an id of a task must not be enough to read its result
//! (threat class 18). A client gets each id sealed for its holder and the server; what does not open is unknown here and
//! reaches nobody. What a server tells on its own, in lists and notifications, is about all of its tasks; of that a client
//! gets what is about tasks that its session made or named, because to seal an id is to give it away.

use std::{collections::VecDeque, sync::Mutex};

use wire::{
    json::{Json, Object},
    mcp::{Method, Notice, Notification, Request as Message, RpcError, TASKS_EXTENSION, code, meta},
};

use crate::{Holder, Plane, Request, Upstream, session::lock};

/// How many tasks of one session are known; the oldest make room.
const MADE_MAX: usize = 1024;

/// The tasks that one session made or named, by the server's ids.
#[derive(Default)]
pub(crate) struct Made(Mutex<VecDeque<String>>);

impl Made {
    /// Takes note of an id that is known to be the client's.
    pub(crate) fn note(&self, id: Option<&Json>) {
        let Some(id) = id.and_then(Json::as_str) else { return };
        let mut made = lock(&self.0);
        if made.iter().any(|known| known == id) {
            return;
        }
        if made.len() >= MADE_MAX {
            made.pop_front();
        }
        made.push_back(id.to_owned());
    }

    fn has(&self, id: Option<&Json>) -> bool {
        id.and_then(Json::as_str).is_some_and(|id| lock(&self.0).iter().any(|known| known == id))
    }
}

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

    /// Puts the server's ids into a request; gives the one of the task that it is about. Fails with `-32602` where one is
    /// not this client's.
    ///
    /// SECURITY: what is given was sealed for this client. An id that the client only wrote is none.
    pub(crate) fn open_in(&self, message: &mut Message) -> Result<Option<Json>, RpcError> {
        let names_task = matches!(
            Method::parse(&message.method),
            Some(Method::TasksGet | Method::TasksResult | Method::TasksCancel | Method::TasksUpdate)
        );
        let Some(params) = message.params.as_mut().and_then(Json::as_object_mut) else {
            return if names_task { Err(unknown()) } else { Ok(None) };
        };
        let mut opened = None;
        if names_task {
            let id = params.get_mut(ID).ok_or_else(unknown)?;
            self.open(id)?;
            opened = Some(id.clone());
        }
        if let Some(id) = related(params) {
            self.open(id)?;
        }
        Ok(opened)
    }

    fn open(&self, id: &mut Json) -> Result<(), RpcError> {
        let opened = id.as_str().and_then(|sealed| self.plane.unseal(sealed, &self.bound));
        let opened = opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unknown)?;
        *id = Json::String(opened);
        Ok(())
    }

    /// Puts the client's ids into a result.
    pub(crate) fn seal_in(&self, result: &mut Json, asked: &Request, made: Option<&Made>) {
        let Some(members) = result.as_object_mut() else { return };
        let is_task = members.get("resultType").and_then(Json::as_str) == Some("task");
        if is_task || *asked == Request::Tasks {
            self.seal_member(members);
        }
        // 2025-11-25: a call that became a task answers with it; a list holds many.
        let is_created = members.get("content").is_none();
        if is_created && let Some(task) = members.get_mut("task").and_then(Json::as_object_mut) {
            if let Some(made) = made {
                made.note(task.get(ID));
            }
            self.seal_member(task);
        }
        if *asked == Request::Tasks
            && let Some(Json::Array(tasks)) = members.get_mut("tasks")
        {
            tasks.retain(|task| made.is_some_and(|made| made.has(task.get(ID))));
            for task in tasks.iter_mut().filter_map(Json::as_object_mut) {
                self.seal_member(task);
            }
        }
        self.seal_related(members, made);
    }

    /// Puts the client's ids into a notification; `None` where it is about a task that is not known to be the client's.
    pub(crate) fn seal_in_notice(&self, notification: &mut Notification, made: Option<&Made>) -> Option<()> {
        let is_status = Notice::parse(&notification.method) == Some(Notice::TasksStatus);
        let Some(params) = notification.params.as_mut().and_then(Json::as_object_mut) else {
            return Some(());
        };
        if is_status {
            if !made.is_some_and(|made| made.has(params.get(ID))) {
                return None;
            }
            self.seal_member(params);
        }
        self.seal_related(params, made);
        Some(())
    }

    /// Puts the client's ids into a question of the server.
    pub(crate) fn seal_in_question(&self, question: &mut Message, made: Option<&Made>) {
        if let Some(params) = question.params.as_mut().and_then(Json::as_object_mut) {
            self.seal_related(params, made);
        }
    }

    /// Puts the server's ids into a client's answer. One that is not this client's goes.
    pub(crate) fn open_in_answer(&self, result: &mut Json) {
        let Some(members) = result.as_object_mut() else { return };
        if related(members).is_some_and(|id| self.open(id).is_err()) {
            forget_related(members);
        }
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

    fn seal_related(&self, members: &mut Object, made: Option<&Made>) {
        let Some(id) = related(members) else { return };
        if made.is_some_and(|made| made.has(Some(id))) {
            self.seal(id);
        } else {
            forget_related(members);
        }
    }
}

const ID: &str = "taskId";

/// The id of the task that something belongs to.
fn related(members: &mut Object) -> Option<&mut Json> {
    let about = members.get_mut("_meta")?.as_object_mut()?.get_mut(meta::RELATED_TASK)?;
    about.as_object_mut()?.get_mut(ID)
}

fn forget_related(members: &mut Object) {
    if let Some(about) = members.get_mut("_meta").and_then(Json::as_object_mut) {
        about.remove(meta::RELATED_TASK);
    }
}

pub(crate) fn unknown() -> RpcError {
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
