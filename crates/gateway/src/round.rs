//! Rounds of questions: a server of 2026-07-28 needs input, and its client has to be asked within a session.
//!
//! The client is asked each question of the round on its stream. With all answers, the same request goes to the server
//! again, on a permit of its own.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc};

use tokio::sync::oneshot;
use wire::{
    json::{Json, Object},
    mcp::{Denial, Id, Request as Question, Response},
};

use crate::{
    Asked, Gateway, Plane, Refused,
    account::Account,
    asking::{Waiting, askable},
    exchange::{End, Exchange},
    front::Route,
    session::Session,
    upstream::{Form, Frames, Outbound, Trouble, Way},
};

/// How many rounds one request may take. The official clients stop there, too.
pub(crate) const ROUNDS_MAX: usize = 10;

/// One round.
pub(crate) struct Round<P: Plane> {
    to_send: VecDeque<Vec<u8>>,
    numbers: Vec<i64>,
    awaited: Vec<(String, Answer)>,
    state: Option<Json>,
    sending: Option<Sending<P>>,
}

enum Answer {
    Awaited(oneshot::Receiver<Response>),
    Given(Json),
}

type Sending<P> = Pin<Box<dyn Future<Output = Result<Sent<P>, End>> + Send>>;

struct Sent<P: Plane> {
    outbound: Outbound,
    account: Account<P>,
    frames: Frames,
}

impl<P: Plane> Round<P> {
    /// The ids of the questions.
    pub(crate) fn numbers(&self) -> &[i64] {
        &self.numbers
    }
}

/// Reads what a server needs, and prepares the questions.
pub(crate) fn begin<P: Plane>(
    gate: &Gateway<P>,
    session: &Session,
    result: &Json,
) -> Result<Round<P>, Trouble> {
    let state = result.get("requestState").cloned();
    let questions = match result.get("inputRequests") {
        None => Object::new(),
        Some(Json::Object(questions)) => questions.clone(),
        Some(_) => return Err(Trouble::Garbage("questions that are no object")),
    };
    if questions.is_empty() && state.is_none() {
        return Err(Trouble::Garbage("a result that needs input and asks nothing"));
    }
    let mut round =
        Round { to_send: VecDeque::new(), numbers: Vec::new(), awaited: Vec::new(), state, sending: None };
    // All of them or none: a question that was put to nobody would take up room in the session.
    for (_, question) in questions.iter() {
        let (method, _) = read_question(question)?;
        askable(method, &session.envelope.capabilities).ok_or(Trouble::Wants)?;
    }
    for (key, question) in questions.iter() {
        let (method, params) = read_question(question)?;
        let number = gate.number();
        let (sender, answer) = oneshot::channel();
        if !session.asked.ask(number, Waiting::Round(sender)) {
            session.asked.forget(&round.numbers);
            return Err(Trouble::Garbage("too many questions at once"));
        }
        round.numbers.push(number);
        let params = params.cloned().map(|params| named(params, number));
        let question = Question::new(Id::Number(number), method, params);
        round.to_send.push_back(question.to_bytes());
        round.awaited.push((key.to_owned(), Answer::Awaited(answer)));
    }
    Ok(round)
}

/// A question that sends the user to a URL has an id of its own in 2025-11-25, and clients refuse one without it; since
/// 2026-07-28 it has none.
fn named(mut params: Json, number: i64) -> Json {
    if params.get("mode").and_then(Json::as_str) == Some("url")
        && let Some(members) = params.as_object_mut()
        && !members.contains("elicitationId")
    {
        members.insert("elicitationId", format!("writ-{number}"));
    }
    params
}

/// One of a server's questions: `{method, params?}`.
pub(crate) fn read_question(question: &Json) -> Result<(&str, Option<&Json>), Trouble> {
    let method = question.get("method").and_then(Json::as_str);
    let params = question.get("params");
    match method {
        Some(method) if params.is_none_or(|params| params.as_object().is_some()) => Ok((method, params)),
        _ => Err(Trouble::Garbage("a question that is none")),
    }
}

/// Goes on with the exchange's round: a question for the client, or none when the server was asked again and the round
/// is over. May be dropped and called again without losing anything.
pub(crate) async fn step<P: Plane>(exchange: &mut Exchange<P>) -> Result<Option<Vec<u8>>, End> {
    let Some(round) = exchange.round.as_mut() else { return Ok(None) };
    if let Some(question) = round.to_send.pop_front() {
        return Ok(Some(question));
    }
    for (_, answer) in &mut round.awaited {
        if let Answer::Awaited(awaited) = answer {
            let given = tokio::select! {
                biased;
                cut = exchange.leash.ended() => return Err(End::Cut(cut)),
                given = awaited => given,
            };
            match given.map(|response| response.outcome) {
                Ok(Ok(result)) => *answer = Answer::Given(result),
                Ok(Err(_)) | Err(_) => return Err(Trouble::Unanswered.into()),
            }
        }
    }
    if round.sending.is_none() {
        let (answers, state) = (std::mem::take(&mut round.awaited), round.state.take());
        let sending = again(exchange, answers, state)?;
        if let Some(round) = exchange.round.as_mut() {
            round.sending = Some(sending);
        }
    }
    let Some(sending) = exchange.round.as_mut().and_then(|round| round.sending.as_mut()) else {
        return Ok(None);
    };
    let sent = tokio::select! {
        biased;
        cut = exchange.leash.ended() => return Err(End::Cut(cut)),
        sent = sending => sent?,
    };
    let client_id = std::mem::replace(&mut exchange.outbound, sent.outbound).client_id;
    exchange.outbound.client_id = client_id;
    exchange.account = sent.account;
    exchange.frames = Some(sent.frames);
    exchange.round = None;
    Ok(None)
}

/// The request once more, with the answers: authorised anew, then sent.
fn again<P: Plane>(
    exchange: &Exchange<P>,
    answers: Vec<(String, Answer)>,
    state: Option<Json>,
) -> Result<Sending<P>, End> {
    let garbage = || End::Trouble(Trouble::Garbage("a question about nothing"));
    let (mut message, Route::Within(session)) =
        (exchange.message.clone().ok_or_else(garbage)?, &exchange.route)
    else {
        return Err(garbage());
    };
    let given: Object = answers
        .into_iter()
        .filter_map(
            |(key, answer)| if let Answer::Given(answer) = answer { Some((key, answer)) } else { None },
        )
        .collect();
    let params = message.params.get_or_insert_with(|| Json::Object(Object::new()));
    let params = params.as_object_mut().ok_or_else(garbage)?;
    if !given.is_empty() {
        params.insert("inputResponses", given);
    }
    if let Some(state) = state {
        params.insert("requestState", state);
    }
    let (gate, caller, upstream) =
        (Arc::clone(&exchange.gate), exchange.caller.clone(), Arc::clone(&exchange.upstream));
    let (request, session) = (exchange.request.clone(), Arc::clone(session));
    let schema = gate.schema_of(&upstream, &request);
    let envelope = session.envelope_now();
    let form = Form::Stateless { envelope: &envelope, schema: schema.as_ref() };
    let outbound = Outbound::new(message, &upstream, form, gate.number())
        .map_err(|_| End::Trouble(Trouble::NotPermitted))?;
    Ok(Box::pin(async move {
        let asked = Asked {
            upstream: &upstream,
            request: &request,
            digest: outbound.digest(),
            bytes: outbound.body().len() as u64,
        };
        let authorized = gate.plane.authorize(&caller, asked).await.map_err(denied)?;
        let clock = Arc::clone(&gate.config.clock);
        let mut account =
            Account::new(Arc::clone(&gate.plane), caller, clock, authorized.permit.intent().clone());
        let way = Way::within(&upstream, &session);
        let (standing, answer) =
            gate.client.forward(authorized.permit, authorized.inject, &outbound, way).await;
        session.renew(standing);
        match answer.and_then(|answer| Frames::of_answer(answer, &upstream, false)) {
            Ok(frames) => Ok(Sent { outbound, account, frames }),
            Err(trouble) => {
                account.end(trouble.ending(), Some(trouble.code()), None);
                Err(trouble.into())
            }
        }
    }))
}

fn denied(refused: Refused) -> End {
    let denial = match refused {
        Refused::Denied(denial) => denial,
        Refused::Unauthorized(_) => Box::new(Denial::new(
            "authority_ended",
            "the credential of this request holds no longer",
            "ask the person behind this task for a new one",
        )),
    };
    End::Denied(denial)
}

#[cfg(test)]
mod tests {
    use wire::json::Json;

    use super::named;

    #[test]
    fn a_question_by_url_gets_the_id_that_sessions_want() {
        for (asked, put) in [
            (
                r#"{"mode":"url","url":"https://a.example"}"#,
                r#"{"mode":"url","url":"https://a.example","elicitationId":"writ-7"}"#,
            ),
            (r#"{"mode":"url","elicitationId":"its"}"#, r#"{"mode":"url","elicitationId":"its"}"#),
            (r#"{"mode":"form","message":"m"}"#, r#"{"mode":"form","message":"m"}"#),
            (r#"{"message":"m"}"#, r#"{"message":"m"}"#),
        ] {
            assert_eq!(named(Json::parse(asked.as_bytes()).unwrap(), 7).to_text(), put);
        }
    }
}
