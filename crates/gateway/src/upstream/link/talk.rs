//! One conversation with a server that has no HTTP request for each message: what is sent, and whose is what comes back.
//!
//! An answer belongs to the request that it names, progress to the request whose token it names. What names none belongs
//! to the one request under way, where there is just one, and otherwise to the listening stream.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use wire::{
    json::Json,
    mcp::{Id, Message, Notice, Response},
};

use super::{
    body::{self, Events, Stream, Waiting},
    writer::Writer,
};
use crate::{
    Upstream,
    session::lock,
    upstream::{Standing, Trouble},
};

/// How many requests may be under way in one conversation.
const WAITING_MAX: usize = 256;
/// How many messages wait for a listening stream, and how much of them, in bytes. The oldest go.
const BACKLOG_MAX: usize = 64;
const BACKLOG_BYTES_MAX: usize = 256 * 1024;
/// How many lines that are no messages are passed over: programs greet and warn on their output.
const NOISE_MAX: usize = 1000;
/// How long a conversation may stay unused after its first words.
const OPENING_WAIT: Duration = Duration::from_secs(30);

/// A conversation, which is one session on the server's side.
pub(crate) struct Link {
    /// The server as it was when the conversation began, and what was sent with the first words.
    pub(super) upstream: Upstream,
    pub(super) standing: Standing,
    pub(super) writer: Writer,
    idle: Duration,
    /// The room for answers that wait for their readers, of all links together.
    answers: Arc<Semaphore>,
    state: Mutex<State>,
    closing: watch::Sender<bool>,
}

struct State {
    waiting: HashMap<Id, Stream>,
    listener: Option<Stream>,
    backlog: VecDeque<String>,
    noise: usize,
    used: Instant,
    /// How often something was sent.
    sent: usize,
    /// Why it is over.
    over: Option<Trouble>,
}

impl Link {
    pub(super) fn new(
        upstream: Upstream,
        standing: Standing,
        writer: Writer,
        idle: Duration,
        answers: Arc<Semaphore>,
    ) -> Self {
        let state = State {
            waiting: HashMap::new(),
            listener: None,
            backlog: VecDeque::new(),
            noise: 0,
            used: Instant::now(),
            sent: 0,
            over: None,
        };
        Self {
            upstream,
            standing,
            writer,
            idle,
            answers,
            state: Mutex::new(state),
            closing: watch::Sender::new(false),
        }
    }

    /// Asks for the end. What is under way breaks off.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Whether the end was asked for, or has come.
    pub(super) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Resolves when the end was asked for.
    pub(super) async fn closed(&self) {
        // The sender is here: this ends in no other way.
        drop(self.closing.subscribe().wait_for(|&is_closing| is_closing).await);
    }

    /// Notes that something is sent.
    pub(super) fn note_use(&self) {
        let mut state = lock(&self.state);
        state.used = Instant::now();
        state.sent += 1;
    }

    /// When it is over if nobody uses it; `None` while somebody does.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        let state = lock(&self.state);
        let is_used = !state.waiting.is_empty() || state.listener.as_ref().is_some_and(|one| !one.is_left());
        let idle = if state.sent > 1 { self.idle } else { self.idle.min(OPENING_WAIT) };
        (!is_used).then(|| state.used + idle)
    }

    /// Since when no request is under way; `None` while one is.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        state.waiting.is_empty().then_some(state.used)
    }

    /// A place for the answer to a request.
    pub(super) fn expect(self: &Arc<Self>, id: &Id) -> Result<Events, Trouble> {
        let mut state = lock(&self.state);
        match &state.over {
            Some(Trouble::Launch(why)) => return Err(Trouble::Launch(*why)),
            Some(_) => return Err(Trouble::SessionGone),
            None if state.waiting.len() >= WAITING_MAX => return Err(Trouble::Crowded),
            None if state.waiting.contains_key(id) => return Err(Trouble::NotPermitted),
            None => {}
        }
        let waiting = Waiting { link: Arc::clone(self), id: id.clone() };
        let (stream, events) = body::channel(Some(waiting));
        state.waiting.insert(id.clone(), stream);
        Ok(events)
    }

    pub(super) fn forget(&self, id: &Id) {
        let mut state = lock(&self.state);
        state.used = Instant::now();
        state.waiting.remove(id);
    }

    /// The listening stream; `None` where there is one already.
    pub(super) fn listen(&self) -> Option<Events> {
        let mut state = lock(&self.state);
        if state.over.is_some() || state.listener.as_ref().is_some_and(|listener| !listener.is_left()) {
            return None;
        }
        let (stream, events) = body::channel(None);
        for message in std::mem::take(&mut state.backlog) {
            stream.tell(&message);
        }
        state.listener = Some(stream);
        Some(events)
    }

    /// Takes what the server says; an answer of ours, where it is due at once. An error ends the conversation.
    pub(super) fn hear(&self, text: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let text = text.trim();
        if !text.starts_with('{') {
            return self.pass_over(text);
        }
        let mut state = lock(&self.state);
        match Message::parse_answer(text.as_bytes()) {
            Err(invalid) => {
                tracing::debug!(server = %self.upstream.name, error = %invalid.error.message, "the server sent no message");
                // It may have been any of the answers.
                for (_, stream) in state.waiting.drain() {
                    stream.break_off(Trouble::Garbage("no JSON-RPC message"));
                }
            }
            Ok(Message::Response(response)) => match response.id.and_then(|id| state.waiting.remove(&id)) {
                Some(stream) => stream.end(text, &self.answers),
                // SECURITY: an answer finds only the request that it names (threat class 19).
                None => metrics::counter!("writ_mcp_stray_answers_total").increment(1),
            },
            Ok(Message::Notification(told)) if Notice::parse(&told.method) == Some(Notice::Progress) => {
                let token = told.param("progressToken").and_then(Id::read);
                if let Some(id) = token.filter(|id| state.waiting.contains_key(id)) {
                    state.tell(&id, text);
                }
            }
            Ok(Message::Request(asked)) if asked.method == "ping" => {
                return Ok(Some(Response::result(asked.id, Json::object::<&str, 0>([])).to_bytes()));
            }
            Ok(Message::Notification(_) | Message::Request(_)) => {
                let only = state.waiting.keys().next().filter(|_| state.waiting.len() == 1).cloned();
                match only {
                    Some(id) => state.tell(&id, text),
                    None => state.tell_listener(text),
                }
            }
        }
        Ok(None)
    }

    fn pass_over(&self, text: &str) -> Result<Option<Vec<u8>>, Trouble> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut state = lock(&self.state);
        state.noise += 1;
        if state.noise > NOISE_MAX {
            return Err(Trouble::Garbage("lines that are no messages"));
        }
        tracing::debug!(server = %self.upstream.name, bytes = text.len(), "the server wrote a line that is no message");
        Ok(None)
    }

    /// Ends it: what is under way breaks off.
    pub(super) fn end(&self, why: Trouble) {
        let mut state = lock(&self.state);
        state.over.get_or_insert_with(|| why.clone());
        for (_, stream) in state.waiting.drain() {
            stream.break_off(why.clone());
        }
        if let Some(listener) = state.listener.take() {
            listener.break_off(why);
        }
        state.backlog.clear();
    }
}

impl State {
    fn tell(&mut self, id: &Id, text: &str) {
        if self.waiting.get(id).is_some_and(|stream| !stream.tell(text))
            && let Some(stream) = self.waiting.remove(id)
        {
            // Whoever reads too slowly loses their own stream, and holds up nobody else's.
            stream.break_off(Trouble::Stalled);
        }
    }

    fn tell_listener(&mut self, text: &str) {
        if let Some(listener) = self.listener.as_ref().filter(|listener| !listener.is_left()) {
            if !listener.tell(text)
                && let Some(listener) = self.listener.take()
            {
                listener.break_off(Trouble::Stalled);
            }
            return;
        }
        self.backlog.push_back(text.to_owned());
        let held = |backlog: &VecDeque<String>| backlog.iter().map(String::len).sum::<usize>();
        while self.backlog.len() > BACKLOG_MAX || held(&self.backlog) > BACKLOG_BYTES_MAX {
            self.backlog.pop_front();
        }
    }
}
