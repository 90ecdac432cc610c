//! What a person has to do at a URL before a call can be made.
//!
//! A server of 2025-11-25 says so with an error (`URLElicitationRequired`) and is asked again by a client that has listened; in
//! 2026-07-28 the same is a result with questions, which the client answers with the call itself. Nothing was executed
//! until then, so the call is made anew, with a decision of its own.

use wire::{
    json::{Json, Object},
    mcp::{Request, RpcError, code},
};

use crate::{Request as Act, state};

/// The state of the client's next try: that it was asked this. It is sealed like a state of a server.
const STATE: &str = "beforehand";
/// The most visits that one error asks for.
const VISITS_MAX: usize = 16;

/// The result that asks a client of 2026-07-28 what this error asks; the error that tells it what it lacks; or `None` where
/// the error is another one, asks in a form that nobody knows, or came of what cannot be answered with questions.
pub(crate) fn asked(error: &RpcError, act: &Act, capabilities: &Object) -> Option<Result<Json, RpcError>> {
    let can_ask = matches!(act, Act::CallTool { .. } | Act::GetPrompt { .. } | Act::ReadResource { .. });
    if error.code != code::URL_REQUIRED || !can_ask {
        return None;
    }
    let visits = error.data.as_ref()?.get("elicitations")?.as_array()?;
    let is_visit = |visit: &Json| {
        visit.get("mode").and_then(Json::as_str) == Some("url")
            && visit.get("url").and_then(Json::as_str).is_some()
    };
    if visits.is_empty() || visits.len() > VISITS_MAX || !visits.iter().all(is_visit) {
        return None;
    }
    if capabilities.get("elicitation").and_then(|elicitation| elicitation.get("url")).is_none() {
        return Some(Err(lacking()));
    }
    let questions = visits.iter().enumerate().map(|(index, visit)| {
        let question =
            Json::object([("method", Json::from("elicitation/create")), ("params", visit.clone())]);
        (format!("visit-{index}"), question)
    });
    let mut result = Object::new();
    result.insert("resultType", "input_required");
    result.insert("inputRequests", Json::Object(questions.collect()));
    result.insert("requestState", STATE);
    Some(Ok(Json::Object(result)))
}

/// Takes out of a call that is made again what belongs to the asking, so that what is left is the call as it was first made.
///
/// SECURITY: a server with sessions gives no state of its own, so whatever else comes as one was made up.
pub(crate) fn done(request: &mut Request) -> Result<(), RpcError> {
    if !state::is_again(request) {
        return Ok(());
    }
    let Some(params) = request.params.as_mut().and_then(Json::as_object_mut) else { return Ok(()) };
    let (state, answers) = (params.remove("requestState"), params.remove("inputResponses"));
    if state.as_ref().and_then(Json::as_str) != Some(STATE) {
        return Err(state::foreign());
    }
    let is_accepted =
        |(_, answer): (&str, &Json)| answer.get("action").and_then(Json::as_str) == Some("accept");
    let answers = answers.as_ref().and_then(Json::as_object);
    if answers.is_some_and(|answers| answers.iter().len() > 0 && answers.iter().all(is_accepted)) {
        return Ok(());
    }
    let why = "what the server wants to be done first was not done";
    Err(RpcError::new(code::INVALID_REQUEST, why).with_code("declined"))
}

fn lacking() -> RpcError {
    let url = Json::object([("url", Json::Object(Object::new()))]);
    let required = Json::object([("elicitation", url)]);
    let data = Some(Json::object([("requiredCapabilities", required)]));
    let why = "the server wants something to be done at a URL first, and the client did not declare that it can ask for that";
    RpcError { data, ..RpcError::new(code::MISSING_CAPABILITY, why) }
}
