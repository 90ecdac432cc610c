//! One permitted request on its way, until its answer.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use wire::{
    json::Json,
    mcp::{Denial, Id, Message, Notice, Notification, Request as Question, Response},
};

use crate::{
    Ending, Gateway, Plane, Request, Upstream,
    account::Account,
    aggregate::Naming,
    asking::askable,
    front::{Front, Route},
    leash::{Cut, Leash},
    notices::{cancellation, is_carried_unasked, severity},
    request::Generation,
    resume::{self, Pause, Resuming, Stops},
    room::{AnswerRoom, Room},
    round::{self, Round},
    session::InFlight,
    tasks::{self, Ids},
    upstream::{Frames, Outbound, Trouble},
};

/// One permitted request under way.
pub(crate) struct Exchange<P: Plane> {
    pub(crate) gate: Arc<Gateway<P>>,
    pub(crate) caller: P::Caller,
    pub(crate) upstream: Arc<Upstream>,
    /// How what the server names is named to the client.
    pub(crate) naming: Naming,
    pub(crate) front: Front,
    pub(crate) route: Route,
    pub(crate) request: Request,
    pub(crate) outbound: Outbound,
    /// The client's message, where the server may want it again with more.
    pub(crate) message: Option<Question>,
    pub(crate) leash: Leash<P>,
    pub(crate) account: Account<P>,
    /// The questions that the client was asked because of this.
    pub(crate) asked: Vec<i64>,
    /// The round of questions that is going on, if one is.
    pub(crate) round: Option<Round<P>>,
    pub(crate) rounds: usize,
    /// Resolves when the client takes its request back.
    pub(crate) cancelled: Option<Arc<Notify>>,
    pub(crate) stops: Stops,
    pub(crate) paused: Option<Pause>,
    /// Whether the client has stayed away for as long as the server wanted.
    pub(crate) has_waited: bool,
    pub(crate) resuming: Option<Resuming>,
    /// Forgets the request with the exchange.
    pub(crate) _in_flight: Option<InFlight>,
    /// The message is kept as long as the exchange.
    pub(crate) held: Option<Room>,
    pub(crate) frames: Option<Frames>,
    /// The room that the answer takes.
    pub(crate) room: AnswerRoom,
    /// In which form the server answered.
    pub(crate) form: AnswerForm,
    pub(crate) is_settled: bool,
}

/// In which form a server answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    /// With one JSON text.
    #[default]
    Text,
    /// With a stream of events.
    Stream,
    /// With an HTTP status that refuses the request itself; only servers without sessions mean something by it.
    Refusal,
}

/// The next thing that happens.
pub(crate) enum Step {
    /// A message for the client, as text.
    Pass(Vec<u8>),
    /// The server asks something, and the client hears of it only in a result.
    Ask(Question),
    /// The server closed its stream and goes on after so long, if it is asked to. So does the client.
    Pause(Duration),
    /// The end.
    Last(Result<Response, End>),
}

/// How a stream of the server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    ForGood,
    /// The server goes on when it is asked to.
    ForNow,
    /// The same after so long, and the client is of those who fetch the rest themselves.
    ToBeFetched(Duration),
}

/// Why there is no answer of the server.
#[derive(Debug)]
pub(crate) enum End {
    Cut(Cut),
    Trouble(Trouble),
    /// The server was to be asked again, with what the client answered, and that was refused.
    Denied(Box<Denial>),
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl<P: Plane> Exchange<P> {
    /// Waits for the next thing. May be dropped and called again without losing anything.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if self.round.is_some() {
                let cancelled = self.cancelled.clone();
                let stepped = tokio::select! {
                    biased;
                    () = taken_back(cancelled.as_deref()) => Err(Trouble::Cancelled.into()),
                    stepped = round::step(self) => stepped,
                };
                match stepped {
                    Ok(Some(question)) => return Step::Pass(question),
                    Ok(None) => {}
                    Err(end) => return Step::Last(Err(end)),
                }
                continue;
            }
            if let Err(end) = self.go_on().await {
                return Step::Last(Err(end));
            }
            let Some(frames) = self.frames.as_mut() else { return Step::Last(Err(Trouble::NoAnswer.into())) };
            let read = tokio::select! {
                biased;
                cut = self.leash.ended() => return Step::Last(Err(End::Cut(cut))),
                () = taken_back(self.cancelled.as_deref()) => return Step::Last(Err(Trouble::Cancelled.into())),
                read = frames.next(&mut self.room) => read,
            };
            self.account.bytes = frames.bytes() as u64;
            match read {
                Ok(None) => match self.pause() {
                    Stopped::ForGood => return Step::Last(Err(Trouble::NoAnswer.into())),
                    Stopped::ToBeFetched(wait) => return Step::Pause(wait),
                    Stopped::ForNow => {}
                },
                Err(Trouble::Broken) => {
                    if self.pause() == Stopped::ForGood {
                        return Step::Last(Err(Trouble::Broken.into()));
                    }
                }
                Err(trouble) => return Step::Last(Err(trouble.into())),
                Ok(Some(Message::Response(response))) if self.is_answered_by(&response) => {
                    if let Some(frames) = self.frames.take() {
                        self.form = if frames.is_stream() {
                            AnswerForm::Stream
                        } else if frames.is_refusal() && self.route.generation() == Generation::Stateless {
                            AnswerForm::Refusal
                        } else {
                            AnswerForm::Text
                        };
                        if frames.is_refusal() && self.is_strange(&response) {
                            self.gate.unlearn(&self.upstream);
                        }
                        self.gate.finish(frames);
                    }
                    match self.wants_more(&response) {
                        Ok(None) => return Step::Last(Ok(response)),
                        Ok(Some(round)) => {
                            self.account.end(Ending::Done, Some("input_required"), Some(response.digest()));
                            self.round = Some(round);
                        }
                        Err(trouble) => return Step::Last(Err(trouble.into())),
                    }
                }
                Ok(Some(Message::Response(response))) => {
                    // SECURITY: an answer finds only the request that it names (threat class 19).
                    let id = response.id.map(|id| id.to_string());
                    tracing::warn!(server = %self.upstream.name, id, "the server answered a request that is not under way here");
                    metrics::counter!("writ_mcp_stray_answers_total").increment(1);
                }
                Ok(Some(Message::Request(question))) => {
                    if let Some(step) = self.hear(question) {
                        return step;
                    }
                }
                Ok(Some(Message::Notification(notification))) => {
                    if let Some(text) = self.carry(notification) {
                        return Step::Pass(text);
                    }
                }
            }
        }
    }

    /// Lets go of a stream that ended without an answer. Whether more follows if the server is asked to go on.
    fn pause(&mut self) -> Stopped {
        let frames = self.frames.take().filter(|_| self.route.generation() == Generation::Sessions);
        let Some(pause) = frames.and_then(|frames| self.stops.stop(&frames)) else { return Stopped::ForGood };
        let wait = pause.wait;
        self.paused = Some(pause);
        let session = self.route.session().filter(|_| matches!(self.front, Front::Session));
        let is_fetched = session.is_some_and(|session| session.client.resumes());
        wait.filter(|_| is_fetched).map_or(Stopped::ForNow, Stopped::ToBeFetched)
    }

    /// Goes on with a stream that stopped.
    async fn go_on(&mut self) -> Result<(), End> {
        if let (Some(pause), Some(session)) = (self.paused.take(), self.route.session()) {
            let has_waited = std::mem::take(&mut self.has_waited);
            self.resuming = Some(resume::resume(&self.gate, &self.upstream, session, pause, has_waited));
        }
        let Some(resuming) = &mut self.resuming else { return Ok(()) };
        let resumed = tokio::select! {
            biased;
            cut = self.leash.ended() => return Err(End::Cut(cut)),
            resumed = resuming => resumed,
        };
        self.resuming = None;
        self.frames = Some(resumed?);
        Ok(())
    }

    fn is_answered_by(&self, response: &Response) -> bool {
        let is_refusal = || self.frames.as_ref().is_some_and(Frames::is_refusal);
        match &response.id {
            Some(id) => *id == self.outbound.id(),
            None => is_refusal(),
        }
    }

    /// A question of the server: for the client, where it can be asked that; otherwise answered here.
    fn hear(&mut self, mut question: Question) -> Option<Step> {
        let session = Arc::clone(self.route.session()?);
        // In 2026-07-28 servers ask in their results alone, and nothing they ask otherwise can be answered.
        if self.route.generation() == Generation::Stateless {
            return None;
        }
        match self.front {
            Front::Session => {
                let (number, text) = self.gate.ask_client(&self.upstream, &session, question)?;
                self.asked.push(number);
                Some(Step::Pass(text))
            }
            Front::Stateless(_) => {
                if askable(&question.method, &session.envelope.capabilities).is_some() {
                    tasks::seal_in_question(&mut question, None);
                    return Some(Step::Ask(question));
                }
                self.gate.answer_server(&self.upstream, &session, question);
                None
            }
        }
    }

    /// Whether the answer is none yet, but a round of questions for a client that has to be asked one by one.
    fn wants_more(&mut self, response: &Response) -> Result<Option<Round<P>>, Trouble> {
        let Ok(result) = &response.outcome else { return Ok(None) };
        if result.get("resultType").and_then(Json::as_str) != Some("input_required") {
            return Ok(None);
        }
        match (&self.front, &self.route) {
            (Front::Session, Route::Within(session)) => {
                self.rounds += 1;
                if self.rounds > round::ROUNDS_MAX {
                    return Err(Trouble::Garbage("questions without end"));
                }
                let round = round::begin(&self.gate, session, result)?;
                self.asked.extend_from_slice(round.numbers());
                Ok(Some(round))
            }
            _ => Ok(None),
        }
    }

    /// The notification as the client gets it, if it gets it.
    fn carry(&self, mut notification: Notification) -> Option<Vec<u8>> {
        let notice = Notice::parse(&notification.method)?;
        let made = self.route.session().map(|session| &session.made);
        self.ids().seal_in_notice(&mut notification, made, |tool| self.leash.sees_what_came_of(tool))?;
        let is_stateless = self.front.generation() == Generation::Stateless;
        match notice {
            Notice::Progress => {
                let wanted = self.outbound.progress.as_ref()?;
                let token = notification.params.as_mut()?.as_object_mut()?.get_mut("progressToken")?;
                if Id::read(token)? != self.outbound.id() {
                    return None;
                }
                *token = wanted.to_json();
                Some(notification.to_bytes())
            }
            Notice::Message => self.logs(&notification).then(|| notification.to_bytes()),
            Notice::Cancelled if !is_stateless => {
                let id = notification.param("requestId").and_then(Id::read)?;
                let number = self.route.session()?.asked.take_back(&id)?;
                Some(cancellation(number).to_bytes())
            }
            // In 2026-07-28 what nobody asked for travels on subscriptions alone.
            other => {
                let passes =
                    !is_stateless && is_carried_unasked(other) && self.leash.lets_hear(&notification);
                self.naming.notice(&mut notification, &self.upstream.name);
                passes.then(|| notification.to_bytes())
            }
        }
    }

    /// Whether a line of the server's log reaches the client.
    fn logs(&self, line: &Notification) -> bool {
        self.upstream.passes.logging
            && match &self.front {
                // The server was told, or tells as much as it thinks right.
                Front::Session => true,
                Front::Stateless(told) => told.envelope.log_level.as_deref().is_some_and(|lowest| {
                    let level = line.param("level").and_then(Json::as_str).unwrap_or_default();
                    severity(level) >= severity(lowest)
                }),
            }
    }

    pub(crate) fn ids(&self) -> Ids<'_, P> {
        let plane = &*self.gate.plane;
        Ids::new(plane, &plane.holder(&self.caller), &self.upstream)
    }
}

/// Resolves when the client takes its request back.
async fn taken_back(cancelled: Option<&Notify>) {
    match cancelled {
        Some(cancelled) => cancelled.notified().await,
        None => std::future::pending().await,
    }
}
