//! `requestState`: what a server of 2026-07-28 wants to have back with the answers to its questions.
//!
//! SECURITY: to the server every client of the gate looks alike, so it cannot tell whether a state comes back from the
//! one who got it. The gate can: a state is sealed for its holder, its server and its act, and for a while only. A state
//! that is none of these is refused, and nothing is forwarded.

use base::Timestamp;
use wire::{
    json::{Json, Object},
    mcp::{Request, RpcError},
};

use crate::{
    Holder, Plane, Request as Act, Upstream, asking::askable, round::read_question, upstream::Trouble,
};

/// How long answers may take, in seconds.
const STATE_SECONDS: i64 = 3600;
/// Before a sealed state of a server.
const SEALED: &str = "s.";
/// Before the ticket of an exchange that waits in this process.
const TICKET: &str = "p.";

/// What a state is sealed for.
pub(crate) struct Bound(Vec<u8>);

impl Bound {
    pub(crate) fn new(holder: &Holder, upstream: &Upstream, act: &[u8; 32]) -> Self {
        let Holder { actor, task } = holder;
        let mut bytes = format!("request state\0{actor}\0{task}\0{}\0", upstream.id).into_bytes();
        bytes.extend_from_slice(act);
        Self(bytes)
    }
}

/// What a client sends along when it asks again.
#[derive(Debug, Default)]
pub(crate) struct Again {
    pub(crate) answers: Option<Object>,
    pub(crate) state: Option<State>,
}

/// A state, by what it names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Sealed(String),
    Ticket(String),
}

impl Again {
    /// Takes it out of a request; what is left is the act.
    pub(crate) fn take(request: &mut Request) -> Result<Self, RpcError> {
        let Some(params) = request.params.as_mut().and_then(Json::as_object_mut) else {
            return Ok(Self::default());
        };
        let answers = match params.remove("inputResponses") {
            None => None,
            Some(Json::Object(answers)) => Some(answers),
            Some(_) => return Err(RpcError::invalid_params("`params.inputResponses` must be an object")),
        };
        let state = match params.remove("requestState") {
            None => None,
            Some(Json::String(text)) => Some(State::read(&text).ok_or_else(foreign)?),
            Some(_) => return Err(RpcError::invalid_params("`params.requestState` must be a string")),
        };
        Ok(Self { answers, state })
    }

    /// Puts the answers, and the state as the server gave it, back into a request.
    pub(crate) fn put<P: Plane>(
        self,
        request: &mut Request,
        plane: &P,
        bound: &Bound,
        now: Timestamp,
    ) -> Result<(), RpcError> {
        let params = request.params.get_or_insert_with(|| Json::Object(Object::new()));
        let Some(params) = params.as_object_mut() else { return Ok(()) };
        if let Some(answers) = self.answers {
            params.insert("inputResponses", answers);
        }
        match self.state {
            None => {}
            Some(State::Sealed(sealed)) => {
                params.insert("requestState", open(&sealed, plane, bound, now).ok_or_else(foreign)?);
            }
            Some(State::Ticket(_)) => return Err(foreign()),
        }
        Ok(())
    }
}

/// Whether a request holds what a client sends along when it asks again.
pub(crate) fn is_again(request: &Request) -> bool {
    ["inputResponses", "requestState"].into_iter().any(|member| request.param(member).is_some())
}

impl State {
    fn read(text: &str) -> Option<Self> {
        if let Some(sealed) = text.strip_prefix(SEALED) {
            return Some(Self::Sealed(sealed.to_owned()));
        }
        text.strip_prefix(TICKET).map(|ticket| Self::Ticket(ticket.to_owned()))
    }
}

/// A state for an exchange that waits in this process.
pub(crate) fn of_ticket(ticket: &str) -> String {
    format!("{TICKET}{ticket}")
}

/// The answer to a state that was not given for this.
pub(crate) fn foreign() -> RpcError {
    RpcError::invalid_params(
        "`params.requestState` is not of this request, or no longer known here; begin again without it",
    )
    .with_code("foreign_request_state")
}

/// Whether everything that a result asks may be asked of a client of these capabilities. A task asks with how it stands.
pub(crate) fn check_questions(result: &Json, asked: &Act, capabilities: &Object) -> Result<(), Trouble> {
    let needs_input = result.get("resultType").and_then(Json::as_str) == Some("input_required");
    if !needs_input && !asked.is_about_tasks() {
        return Ok(());
    }
    let questions = match result.get("inputRequests") {
        None => return Ok(()),
        Some(questions) => questions.as_object().ok_or(Trouble::Garbage("questions that are no object"))?,
    };
    for (_, question) in questions.iter() {
        let (method, _) = read_question(question)?;
        askable(method, capabilities).ok_or(Trouble::Wants)?;
    }
    Ok(())
}

/// Seals the state in a result, if there is one.
pub(crate) fn seal<P: Plane>(
    result: &mut Json,
    plane: &P,
    bound: &Bound,
    now: Timestamp,
) -> Result<(), Trouble> {
    let Some(state) = result.as_object_mut().and_then(|members| members.get_mut("requestState")) else {
        return Ok(());
    };
    let Some(text) = state.as_str() else { return Err(Trouble::Garbage("a state that is no text")) };
    let mut plain = now.plus_seconds(STATE_SECONDS).millis().to_be_bytes().to_vec();
    plain.extend_from_slice(text.as_bytes());
    *state = Json::from(format!("{SEALED}{}", plane.seal(&plain, &bound.0)));
    Ok(())
}

fn open<P: Plane>(sealed: &str, plane: &P, bound: &Bound, now: Timestamp) -> Option<String> {
    let plain = plane.unseal(sealed, &bound.0)?;
    let (until, text) = plain.split_first_chunk()?;
    let is_fresh = i64::from_be_bytes(*until) > now.millis();
    if is_fresh { String::from_utf8(text.to_vec()).ok() } else { None }
}
