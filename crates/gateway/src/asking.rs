//! What a server asks of a client while it works: elicitation always, sampling and roots where they pass.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use tokio::sync::oneshot;
use wire::{
    json::{Json, Object},
    mcp::{Ask, Id, Request as Question, Response, RpcError, code},
};

use crate::{
    Gateway, Plane, Upstream,
    notices::cancellation,
    session::{Session, lock},
    tasks,
};

/// How many questions of servers may wait for answers in one session.
const ASKED_MAX: usize = 16;

/// The capability that a client declares when it can be asked this. A sign of life anybody can give.
pub(crate) const fn capability(ask: Ask) -> Option<&'static str> {
    match ask {
        Ask::Ping => None,
        Ask::Elicit => Some("elicitation"),
        Ask::Sample => Some("sampling"),
        Ask::RootsList => Some("roots"),
    }
}

/// The question, if it is one that a client of these capabilities can be asked. What does not pass has been taken out
/// of the capabilities before.
pub(crate) fn askable(method: &str, capabilities: &Object) -> Option<Ask> {
    let ask = Ask::parse(method)?;
    capability(ask).is_some_and(|capability| capabilities.contains(capability)).then_some(ask)
}

/// Who waits for the client's answer.
pub(crate) enum Waiting {
    /// The server, under its own id.
    Server(Id),
    /// A round of an exchange with a server that knows no sessions.
    Round(oneshot::Sender<Response>),
}

/// The questions of one session that the client has not answered.
#[derive(Default)]
pub(crate) struct Asked(Mutex<Questions>);

#[derive(Default)]
struct Questions {
    /// By the ids that the gate gave them; those ids grow.
    waiting: HashMap<i64, Waiting>,
    /// Those whose stream has ended. The client may have read them, so they may still be answered, until their places are
    /// needed.
    left: BTreeSet<i64>,
}

impl Questions {
    fn remove(&mut self, number: i64) -> Option<Waiting> {
        self.left.remove(&number);
        self.waiting.remove(&number)
    }
}

impl Asked {
    /// Remembers a question; false when too many wait.
    pub(crate) fn ask(&self, number: i64, waiting: Waiting) -> bool {
        let waits = &mut lock(&self.0).waiting;
        let has_room = waits.len() < ASKED_MAX;
        if has_room {
            waits.insert(number, waiting);
        }
        has_room
    }

    /// Whether somebody waits for this answer.
    pub(crate) fn waits_for(&self, id: Option<&Id>) -> bool {
        let Some(Id::Number(number)) = id else { return false };
        lock(&self.0).waiting.contains_key(number)
    }

    /// Whether it is the server itself that waits for this answer.
    pub(crate) fn is_by_server(&self, id: Option<&Id>) -> bool {
        let Some(Id::Number(number)) = id else { return false };
        matches!(lock(&self.0).waiting.get(number), Some(Waiting::Server(_)))
    }

    /// Who waits for this answer. Each question is answered once.
    pub(crate) fn answer(&self, id: Option<&Id>) -> Option<Waiting> {
        let Some(Id::Number(number)) = id else { return None };
        lock(&self.0).remove(*number)
    }

    /// Takes out those that wait no longer.
    pub(crate) fn keep_waiting(&self, numbers: &mut Vec<i64>) {
        let asked = lock(&self.0);
        numbers.retain(|number| asked.waiting.contains_key(number));
    }

    /// The stream on which these were asked has ended.
    pub(crate) fn leave(&self, numbers: &[i64]) {
        let mut asked = lock(&self.0);
        let unanswered = numbers.iter().copied().filter(|number| asked.waiting.contains_key(number));
        let unanswered: Vec<i64> = unanswered.collect();
        asked.left.extend(unanswered);
    }

    /// Makes room for one more where the places are taken, by the oldest question whose stream has ended; under which id
    /// its server waits for an answer.
    fn make_room(&self) -> Option<Id> {
        let mut asked = lock(&self.0);
        if asked.waiting.len() < ASKED_MAX {
            return None;
        }
        let oldest = asked.left.pop_first()?;
        match asked.waiting.remove(&oldest)? {
            Waiting::Server(id) => Some(id),
            Waiting::Round(_) => None,
        }
    }

    /// The gate's number of a question that its server takes back.
    pub(crate) fn take_back(&self, id: &Id) -> Option<i64> {
        let mut asked = lock(&self.0);
        let is_it = |waiting: &Waiting| matches!(waiting, Waiting::Server(known) if known == id);
        let number = asked.waiting.iter().find(|(_, waiting)| is_it(waiting)).map(|(number, _)| *number)?;
        asked.remove(number);
        Some(number)
    }

    /// Forgets questions whose exchange is over.
    pub(crate) fn forget(&self, numbers: &[i64]) {
        let mut asked = lock(&self.0);
        for number in numbers {
            asked.remove(*number);
        }
    }
}

impl<P: Plane> Gateway<P> {
    /// A server's question under our number, as text for the client of a session; `None` when the client cannot be
    /// asked that: then the server has its answer.
    pub(crate) fn ask_client(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        session: &Arc<Session>,
        mut question: Question,
    ) -> Option<(i64, Vec<u8>)> {
        if let Some(forgotten) = session.asked.make_room() {
            let error = RpcError::new(code::INTERNAL_ERROR, "the client left and did not answer");
            self.errand(upstream, session, Response::error(Some(forgotten), error).to_bytes());
        }
        let number = self.number();
        let is_asked = askable(&question.method, &session.envelope.capabilities).is_some()
            && session.asked.ask(number, Waiting::Server(question.id.clone()));
        if !is_asked {
            self.answer_server(upstream, session, question);
            return None;
        }
        question.id = Id::Number(number);
        tasks::seal_in_question(&mut question, Some(&session.made));
        Some((number, question.to_bytes()))
    }

    /// Answers a question of a server that does not reach the client: signs of life only.
    pub(crate) fn answer_server(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        session: &Arc<Session>,
        question: Question,
    ) {
        let answer = if Ask::parse(&question.method) == Some(Ask::Ping) {
            Response::result(question.id, Json::object::<&str, 0>([]))
        } else {
            tracing::debug!(server = %upstream.name, "refused a request of the server");
            Response::error(Some(question.id), RpcError::method_not_found(&question.method))
        };
        self.errand(upstream, session, answer.to_bytes());
    }

    /// Tells a server that a request is no longer wanted.
    pub(crate) fn cancel(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        session: &Arc<Session>,
        upstream_id: i64,
    ) {
        self.errand(upstream, session, cancellation(upstream_id).to_bytes());
    }
}
