//! One permitted request on its way, until its answer.

use std::{sync::Arc, time::Duration};

use base::HeldBody;
use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use wire::{
    json::Json,
    mcp::{Denial, Id, Message, Notice, Notification, Response, RpcError},
};

use crate::{
    Ending, Gateway, Plane, Request, Upstream,
    account::Account,
    leash::{Cut, Leash},
    listing,
    session::{InFlight, Session},
    upstream::{Frames, Outbound, Standing, Trouble, Way},
};

/// How long the end of a stream may take after its answer.
const DRAIN_WAIT: Duration = Duration::from_secs(1);

/// One permitted request under way.
pub(crate) struct Exchange<P: Plane> {
    pub(crate) gate: Arc<Gateway<P>>,
    pub(crate) caller: P::Caller,
    pub(crate) upstream: Arc<Upstream>,
    /// None while the session is being opened.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) request: Request,
    pub(crate) outbound: Outbound,
    pub(crate) leash: Leash<P>,
    pub(crate) account: Account<P>,
    /// Forgets the request with the exchange.
    pub(crate) _in_flight: Option<InFlight>,
    /// The message is kept as long as the exchange.
    pub(crate) _held: Option<HeldBody>,
    pub(crate) frames: Option<Frames>,
}

/// The next thing that happens.
pub(crate) enum Step {
    /// A notification for the client, as text.
    Pass(Vec<u8>),
    /// The end.
    Last(Result<Response, End>),
}

/// Why there is no answer of the server.
#[derive(Debug)]
pub(crate) enum End {
    Cut(Cut),
    Trouble(Trouble),
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
            let Some(frames) = self.frames.as_mut() else { return Step::Last(Err(Trouble::NoAnswer.into())) };
            let read = tokio::select! {
                biased;
                cut = self.leash.ended() => return Step::Last(Err(End::Cut(cut))),
                read = frames.next() => read,
            };
            self.account.bytes = frames.bytes() as u64;
            match read {
                Err(trouble) => return Step::Last(Err(trouble.into())),
                Ok(None) => return Step::Last(Err(Trouble::NoAnswer.into())),
                Ok(Some(Message::Response(response))) if response.id == Some(self.outbound.id()) => {
                    if let Some(frames) = self.frames.take() {
                        self.gate.finish(frames);
                    }
                    return Step::Last(Ok(response));
                }
                Ok(Some(Message::Response(response))) => {
                    // SECURITY: an answer finds only the request that it names (threat class 19).
                    let id = response.id.map(|id| id.to_string());
                    tracing::warn!(server = %self.upstream.name, id, "the server answered a request that is not under way here");
                    metrics::counter!("writ_mcp_stray_answers_total").increment(1);
                }
                Ok(Some(Message::Request(request))) => {
                    if let Some(session) = &self.session {
                        self.gate.answer_server(&self.upstream, session, request);
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

    /// The notification as the client gets it, if it gets it.
    fn carry(&self, mut notification: Notification) -> Option<Vec<u8>> {
        match Notice::parse(&notification.method)? {
            Notice::Progress => {
                let wanted = self.outbound.progress.as_ref()?;
                let token = notification.params.as_mut()?.as_object_mut()?.get_mut("progressToken")?;
                if Id::read(token)? != self.outbound.id() {
                    return None;
                }
                *token = wanted.to_json();
                Some(notification.to_bytes())
            }
            other => is_carried_unasked(other).then(|| notification.to_bytes()),
        }
    }

    /// The answer for the client, and the end of the account.
    pub(crate) async fn settle(&mut self, last: Result<Response, End>) -> Response {
        let id = self.outbound.client_id.clone();
        let answered = match last {
            Ok(response) => self.judge(response).await.map_err(End::from),
            Err(end) => Err(end),
        };
        match answered {
            Ok(mut response) => {
                response.id = Some(id);
                let is_done = response.outcome.as_ref().is_ok_and(|result| {
                    !(matches!(self.request, Request::CallTool { .. })
                        && result.get("isError") == Some(&Json::Bool(true)))
                });
                let (ending, code) =
                    if is_done { (Ending::Done, None) } else { (Ending::Failed, Some("upstream_error")) };
                self.account.end(ending, code, Some(response.digest()));
                response
            }
            Err(End::Trouble(trouble)) => {
                self.account.end(trouble.ending(), Some(trouble.code()), None);
                self.give_up(&trouble);
                Response::error(Some(id), trouble.to_error())
            }
            Err(End::Cut(cut)) => {
                self.account.end(Ending::Cut, Some(cut.code()), None);
                self.cancel();
                let help = "ask the person behind this task for a new one";
                Response::error(Some(id), Denial::new(cut.code(), cut.reason(), help).error())
            }
        }
    }

    /// Checks an answer by what was asked.
    async fn judge(&self, mut response: Response) -> Result<Response, Trouble> {
        if let (Ok(result), Request::List(list)) = (&mut response.outcome, &self.request) {
            listing::filter(&*self.gate.plane, &self.caller, &self.upstream, *list, result).await?;
        }
        Ok(response)
    }

    fn give_up(&mut self, trouble: &Trouble) {
        tracing::warn!(server = %self.upstream.name, code = trouble.code(), %trouble, "a request was not answered");
        match trouble {
            Trouble::SessionGone => {
                if let Some(session) = &self.session {
                    self.gate.sessions.close(session);
                }
            }
            Trouble::Stalled | Trouble::Silent | Trouble::TooLarge(_) | Trouble::Garbage(_) => self.cancel(),
            _ => {}
        }
    }

    /// Tells the server that nobody waits any more, and lets go of its answer.
    fn cancel(&mut self) {
        self.frames = None;
        if let Some(session) = &self.session {
            self.gate.cancel(&self.upstream, session, self.outbound.number());
        }
    }
}

/// Notifications of servers that any stream of a session carries. Log lines are not: logging is not offered.
pub(crate) const fn is_carried_unasked(notice: Notice) -> bool {
    matches!(
        notice,
        Notice::ToolsListChanged
            | Notice::ResourcesListChanged
            | Notice::ResourcesUpdated
            | Notice::PromptsListChanged
    )
}

impl<P: Plane> Gateway<P> {
    /// Answers a request of a server: signs of life only, for now. Beside the calls, so that no stream waits for it.
    pub(crate) fn answer_server(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        session: &Arc<Session>,
        request: wire::mcp::Request,
    ) {
        let answer = if request.method == "ping" {
            Response::result(request.id, Json::object::<&str, 0>([]))
        } else {
            tracing::debug!(server = %upstream.name, "refused a request of the server");
            Response::error(Some(request.id), RpcError::method_not_found(&request.method))
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

    /// Reads the end of a stream whose answer has come, so that its connection can be used again. Mostly it is there
    /// already; otherwise somebody waits for it beside the calls.
    fn finish(&self, mut frames: Frames) {
        if frames.drain().now_or_never().is_some() {
            return;
        }
        let Ok(turn) = Arc::clone(&self.errands).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(DRAIN_WAIT, frames.drain()).await;
            drop(turn);
        });
    }

    /// Sends a message of upkeep in the background; when too many are under way, it is left unsent.
    fn errand(self: &Arc<Self>, upstream: &Arc<Upstream>, session: &Arc<Session>, message: Vec<u8>) {
        let Ok(turn) = Arc::clone(&self.errands).try_acquire_owned() else {
            tracing::warn!(server = %upstream.name, "too many messages of upkeep are under way; one was left unsent");
            return;
        };
        let errand = Errand { turn, standing: session.standing(), message };
        let (gate, upstream, session) = (Arc::clone(self), Arc::clone(upstream), Arc::clone(session));
        tokio::spawn(async move {
            let way = Way::within(&upstream, &session);
            if let Err(trouble) = gate.client.tell(&errand.standing, errand.message, way).await {
                tracing::debug!(server = %upstream.name, %trouble, "a message of upkeep was not delivered");
            }
            drop(errand.turn);
        });
    }
}

struct Errand {
    turn: OwnedSemaphorePermit,
    standing: Standing,
    message: Vec<u8>,
}

/// `notifications/cancelled` under the id that the server knows.
pub(crate) fn cancellation(upstream_id: i64) -> Notification {
    let mut params = wire::json::Object::new();
    params.insert("requestId", upstream_id);
    Notification {
        method: Notice::Cancelled.as_str().to_owned(),
        params: Some(params.into()),
        rest: wire::json::Object::new(),
    }
}

/// Says that a session is open.
pub(crate) fn opened() -> Notification {
    Notification {
        method: Notice::Initialized.as_str().to_owned(),
        params: None,
        rest: wire::json::Object::new(),
    }
}
