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

/// How many tasks of one session are known, and how many bytes of their ids; the oldest make room.
const MADE_MAX: usize = 1024;
const MADE_BYTES_MAX: usize = 256 * 1024;

/// How many bytes of a call's arguments a task's id carries. It is repeated in a header, and those are not long.
const ARGUMENTS_BYTES_MAX: usize = 4 * 1024;

/// The tasks that one session made or named: the server's ids, and the clients'.
#[derive(Default)]
pub(crate) struct Made(Mutex<Known>);

#[derive(Default)]
struct Known {
    ids: VecDeque<(String, String)>,
    bytes: usize,
}

impl Made {
    /// Takes note of an id that is known to be the client's.
    pub(crate) fn note(&self, id: &Json, sealed: String) {
        let Some(id) = id.as_str() else { return };
        let mut known = lock(&self.0);
        if known.ids.iter().any(|(known, _)| known == id) {
            return;
        }
        known.bytes += id.len() + sealed.len();
        known.ids.push_back((id.to_owned(), sealed));
        while known.ids.len() > MADE_MAX || known.bytes > MADE_BYTES_MAX {
            let Some((id, sealed)) = known.ids.pop_front() else { break };
            known.bytes -= id.len() + sealed.len();
        }
    }

    /// What the client calls a task.
    fn sealed(&self, id: &Json) -> Option<String> {
        let id = id.as_str()?;
        let known = lock(&self.0);
        known.ids.iter().find(|(known, _)| known == id).map(|(_, sealed)| sealed.clone())
    }
}

/// A task that a client named.
pub(crate) struct Task {
    /// The server's id.
    pub(crate) id: Json,
    /// The client's.
    pub(crate) sealed: String,
    /// The call that it came of, where that is known.
    pub(crate) of: Option<Request>,
}

/// Seals and opens the ids for one holder and one server.
///
/// SECURITY: with the id goes the call that the task came of, so that asking for its result is decided as that call: whose
/// right to it has ended does not get it as a task's result either.
pub(crate) struct Ids<'a, P: Plane> {
    plane: &'a P,
    bound: Vec<u8>,
}

impl<'a, P: Plane> Ids<'a, P> {
    pub(crate) fn new(plane: &'a P, holder: &Holder, upstream: &Upstream) -> Self {
        let Holder { actor, task } = holder;
        Self { plane, bound: format!("server task\0{actor}\0{task}\0{}", upstream.id).into_bytes() }
    }

    /// Puts the server's ids into a request; gives the task that it is about. Fails with `-32602` where one is not this
    /// client's.
    ///
    /// SECURITY: what is given was sealed for this client. An id that the client only wrote is none.
    pub(crate) fn open_in(&self, message: &mut Message) -> Result<Option<Task>, RpcError> {
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
            let task = self.open(id).ok_or_else(unknown)?;
            *id = task.id.clone();
            opened = Some(task);
        }
        if let Some(id) = related(params) {
            *id = self.open(id).ok_or_else(unknown)?.id;
        }
        Ok(opened)
    }

    fn open(&self, id: &Json) -> Option<Task> {
        let sealed = id.as_str()?;
        let parts = Json::parse(&self.plane.unseal(sealed, &self.bound)?).ok()?;
        let (id, rest) = parts.as_array()?.split_first()?;
        let of = rest.first().and_then(Json::as_str).map(|name| Request::CallTool {
            name: name.to_owned(),
            arguments: rest.get(1).cloned().unwrap_or_default(),
        });
        Some(Task { id: id.clone(), sealed: sealed.to_owned(), of })
    }

    /// Puts the client's ids into a result. `sees` says of a tool's name whether the client gets to see what came of it.
    pub(crate) fn seal_in(
        &self,
        result: &mut Json,
        asked: &Request,
        made: Option<&Made>,
        sees: impl Fn(&str) -> bool,
    ) {
        let Some(members) = result.as_object_mut() else { return };
        let is_task = members.get("resultType").and_then(Json::as_str) == Some("task");
        if (is_task || asked.is_about_tasks())
            && let Some(id) = members.get_mut(ID)
        {
            self.seal(id, asked);
        }
        // 2025-11-25: a call that became a task answers with it; a list holds many.
        let is_created = members.get("content").is_none();
        if is_created
            && let Some(task) = members.get_mut("task").and_then(Json::as_object_mut)
            && let Some(id) = task.get_mut(ID)
        {
            let own = id.clone();
            self.seal(id, asked);
            if let (Some(made), Some(sealed)) = (made, id.as_str()) {
                made.note(&own, sealed.to_owned());
            }
        }
        if asked.is_about_tasks()
            && let Some(Json::Array(tasks)) = members.get_mut("tasks")
        {
            tasks.retain_mut(|task| {
                let id = task.as_object_mut().and_then(|members| members.get_mut(ID));
                id.is_some_and(|id| self.seal_known(id, made, &sees).is_some())
            });
        }
        seal_related(members, made);
    }

    /// Puts the client's ids into a notification; `None` where it is about a task that is not known to be the client's, or
    /// that came of something that it does not get to see any more.
    pub(crate) fn seal_in_notice(
        &self,
        notification: &mut Notification,
        made: Option<&Made>,
        sees: impl Fn(&str) -> bool,
    ) -> Option<()> {
        let is_status = Notice::parse(&notification.method) == Some(Notice::TasksStatus);
        let Some(params) = notification.params.as_mut().and_then(Json::as_object_mut) else {
            return Some(());
        };
        if is_status {
            self.seal_known(params.get_mut(ID)?, made, &sees)?;
        }
        seal_related(params, made);
        Some(())
    }

    /// Puts the server's ids into a client's answer. One that is not this client's goes.
    pub(crate) fn open_in_answer(&self, result: &mut Json) {
        let Some(members) = result.as_object_mut() else { return };
        let Some(id) = related(members) else { return };
        match self.open(id) {
            Some(task) => *id = task.id,
            None => forget_related(members),
        }
    }

    /// Seals the id of a task that came of `asked`, or that `asked` is about.
    fn seal(&self, id: &mut Json, asked: &Request) {
        if !matches!(id, Json::String(_)) {
            return;
        }
        let of = match asked {
            Request::Tasks { of: Some(of) } => &**of,
            other => other,
        };
        let mut parts = vec![id.clone()];
        if let Request::CallTool { name, arguments } = of {
            parts.push(Json::from(name.as_str()));
            let kept = Some(arguments).filter(|arguments| arguments.to_text().len() <= ARGUMENTS_BYTES_MAX);
            parts.extend(kept.cloned());
        }
        *id = Json::String(self.plane.seal(Json::Array(parts).to_text().as_bytes(), &self.bound));
    }

    /// The id as the client knows it, where it does and gets to see what the task came of.
    fn seal_known(&self, id: &mut Json, made: Option<&Made>, sees: &impl Fn(&str) -> bool) -> Option<()> {
        let sealed = Json::String(made?.sealed(id)?);
        if let Some(Request::CallTool { name, .. }) = self.open(&sealed)?.of
            && !sees(&name)
        {
            return None;
        }
        *id = sealed;
        Some(())
    }
}

/// Puts the client's ids into a question of the server.
pub(crate) fn seal_in_question(question: &mut Message, made: Option<&Made>) {
    if let Some(params) = question.params.as_mut().and_then(Json::as_object_mut) {
        seal_related(params, made);
    }
}

fn seal_related(members: &mut Object, made: Option<&Made>) {
    let Some(id) = related(members) else { return };
    match made.and_then(|made| made.sealed(id)) {
        Some(sealed) => *id = Json::String(sealed),
        None => forget_related(members),
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
