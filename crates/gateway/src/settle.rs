//! The end of an exchange: its answer judged and put into the client's form, its account closed.

use futures_util::FutureExt as _;
use wire::{
    json::Json,
    mcp::{Response, code},
};

use crate::{
    Ending, Item, Plane, Request, beforehand,
    exchange::{AnswerForm, End, Exchange},
    front::Front,
    leash::Cut,
    listing, reply,
    request::Generation,
    state, translate,
    upstream::Trouble,
};

impl<P: Plane> Exchange<P> {
    /// The answer for the client, and the end of the account.
    pub(crate) async fn settle(&mut self, last: Result<Response, End>) -> Response {
        self.is_settled = true;
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
                // A stream that stopped had begun, whatever went wrong when it was asked for again.
                let ending = if self.stops.has_any() { Ending::Unknown } else { trouble.ending() };
                self.account.end(ending, Some(trouble.code()), None);
                self.give_up(&trouble);
                Response::error(Some(id), trouble.to_error())
            }
            Err(End::Denied(denial)) => match self.request {
                Request::CallTool { .. } => Response::result(id, denial.tool_result()),
                _ => Response::error(Some(id), denial.error()),
            },
            Err(End::Cut(cut)) => {
                self.cut(cut);
                Response::error(Some(id), cut.denial().error())
            }
        }
    }

    /// Whether a refusal of the request itself may mean that the server is of another generation by now: it is not what
    /// servers of its generation say to requests that are written as these are.
    pub(crate) fn is_strange(&self, refusal: &Response) -> bool {
        let known = [code::METHOD_NOT_FOUND, code::INVALID_PARAMS, code::MISSING_CAPABILITY];
        let is_known =
            |error: i64| self.route.generation() == Generation::Stateless && known.contains(&error);
        refusal.outcome.as_ref().err().is_some_and(|error| !is_known(error.code))
    }

    /// Checks an answer by what was asked, and puts it into the client's form.
    async fn judge(&mut self, mut response: Response) -> Result<Response, Trouble> {
        if let (Ok(result), Request::List(list)) = (&mut response.outcome, &self.request) {
            let plane = &*self.gate.plane;
            // On the heap: what it takes is large, and part of each exchange's future otherwise.
            listing::filter(plane, &self.caller, &self.upstream, *list, result).boxed().await?;
        }
        let is_in_session = self.route.generation() == Generation::Sessions;
        if let (Err(error), Front::Stateless(told), true) = (&response.outcome, &self.front, is_in_session)
            && let Some(asked) = beforehand::asked(error, &self.request, &told.envelope.capabilities)
        {
            response.outcome = asked;
        }
        if let (Ok(result), Front::Stateless(told)) = (&mut response.outcome, &self.front) {
            state::check_questions(result, &self.request, &told.envelope.capabilities)?;
            let bound = state::Bound::new(&self.gate.plane.holder(&self.caller), &self.upstream, &told.act);
            state::seal(result, &*self.gate.plane, &bound, self.gate.config.clock.now())?;
        }
        if let Ok(result) = &mut response.outcome {
            let made = self.route.session().map(|session| &session.made);
            let (plane, caller) = (&self.gate.plane, &self.caller);
            let sees = |tool: &str| plane.visible(caller, &self.upstream, Item::Called(tool));
            self.ids().seal_in(result, &self.request, made, sees);
        }
        translate::answer(&mut response, &self.request, self.route.generation(), self.front.generation());
        self.naming.answer(&mut response, &self.request, &self.upstream.name);
        Ok(response)
    }

    fn give_up(&mut self, trouble: &Trouble) {
        tracing::warn!(server = %self.upstream.name, code = trouble.code(), %trouble, "a request was not answered");
        match trouble {
            Trouble::Status(400 | 404 | 405 | 406) => self.gate.unlearn(&self.upstream),
            Trouble::SessionGone => {
                if let Some(session) = self.route.session() {
                    self.gate.sessions.close(session);
                }
            }
            Trouble::Stalled
            | Trouble::Silent
            | Trouble::TooLarge(_)
            | Trouble::NoRoom
            | Trouble::Garbage(_)
            | Trouble::Wants => self.cancel(),
            _ => {}
        }
    }

    /// Ends it because authority has ended.
    pub(crate) fn cut(&mut self, cut: Cut) {
        self.is_settled = true;
        self.account.end(Ending::Cut, Some(cut.code()), None);
        self.cancel();
    }

    /// The answer over HTTP. A server that found its own fault with the act answered the request all the same, and a model
    /// has to read it; only a refusal of the request itself has a status.
    pub(crate) fn reply(&self, answer: &Response) -> axum::response::Response {
        match &self.front {
            Front::Stateless(_) if self.form != AnswerForm::Refusal => reply::in_band(answer),
            front => front.reply(answer),
        }
    }

    /// Whether the caller's authority still stands. For an exchange that nobody steps.
    pub(crate) fn is_live(&self) -> bool {
        self.gate.plane.is_live(&self.caller, Some(&self.upstream))
    }

    /// Tells the server that nobody waits any more, and lets go of its answer. Where there are no sessions, letting go
    /// says it all.
    fn cancel(&mut self) {
        self.frames = None;
        if let Some(session) = self.route.session()
            && self.route.generation() == Generation::Sessions
        {
            self.gate.cancel(&self.upstream, session, self.outbound.number());
        }
    }
}

impl<P: Plane> Drop for Exchange<P> {
    fn drop(&mut self) {
        if let Some(session) = self.route.session() {
            session.asked.forget(&self.asked);
        }
        // In 2026-07-28 a client takes a request back by letting go of the answer.
        if !self.is_settled && self.front.generation() == Generation::Stateless {
            self.cancel();
        }
    }
}
