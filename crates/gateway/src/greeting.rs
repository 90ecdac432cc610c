//! The first words with a server, in one generation and, where it does not know that one, in the other.

use std::sync::Arc;

use wire::{
    json::{Json, Object},
    mcp::{self, Envelope, Id, Revision},
};

use crate::{
    Gateway, Passes, Plane, Refused, Request,
    exchange::{End, Exchange, Step},
    front::{Front, Route},
    gateway::Visit,
    request::Generation,
    session::{Client, Opened, Session},
    tongue::{Offer, Tongue, wants_once_more},
    upstream::{Form, Outbound, Standing, Trouble, ourselves},
};

/// What came of the first words in one generation.
pub(crate) struct Attempt {
    pub(crate) response: mcp::Response,
    pub(crate) opened: Option<Opened>,
    /// The server answered, and what it answered may mean that it is of the other generation.
    is_foreign: bool,
}

/// The first words in the client's generation, and in the other where the server does not know that one. `message` is
/// the client's own; what the other generation would say is made from the envelope.
pub(crate) async fn first_words<P: Plane>(
    visit: &Visit<P>,
    envelope: &Envelope,
    message: mcp::Request,
    own: Generation,
) -> Result<Attempt, Refused> {
    let mut order = [own, own.other()];
    if visit.gate.known(&visit.upstream).is_of_the_other(own) {
        order.reverse();
    }
    let id = message.id.clone();
    let mut own_words = Some(message);
    let mut first: Option<Attempt> = None;
    for generation in order {
        let words = if generation == own { own_words.take() } else { None };
        let attempt = match generation {
            Generation::Sessions => {
                let words = words.unwrap_or_else(|| question("initialize", initialize_params(envelope)));
                by_initialize(visit.again(), words, envelope).await?
            }
            Generation::Stateless => {
                let words = words.unwrap_or_else(|| question("server/discover", Object::new()));
                let attempt = by_discover(visit.again(), words.clone(), envelope).await?;
                if attempt.response.outcome.as_ref().is_err_and(wants_once_more) {
                    by_discover(visit.again(), words, envelope).await?
                } else {
                    attempt
                }
            }
        };
        if attempt.opened.is_some() {
            visit.gate.remember(&visit.upstream, generation, true);
            if first.is_some() {
                visit.gate.remember(&visit.upstream, generation.other(), false);
            }
            return Ok(attempt);
        }
        // What the server says in the client's own generation is what the client can read.
        let is_last = !attempt.is_foreign;
        first = match first {
            Some(earlier) if generation != own => Some(earlier),
            _ => Some(attempt),
        };
        if is_last {
            break;
        }
    }
    visit.gate.unlearn(&visit.upstream);
    let nothing = || Attempt {
        response: mcp::Response::error(None, Trouble::Revision.to_error()),
        opened: None,
        is_foreign: false,
    };
    let mut attempt = first.unwrap_or_else(nothing);
    attempt.response.id = Some(id);
    Ok(attempt)
}

async fn by_initialize<P: Plane>(
    visit: Visit<P>,
    message: mcp::Request,
    envelope: &Envelope,
) -> Result<Attempt, Refused> {
    let spoken = match ask(visit, Route::Opening, message, Form::Session).await? {
        Ok(spoken) => spoken,
        Err(attempt) => return Ok(attempt),
    };
    let id = spoken.unclaimed.id();
    let read = |result: &mut Json, passes| {
        let (revision, offer) = Offer::of_initialize(result, passes)?;
        Ok((Tongue::Session { revision, id }, offer))
    };
    Ok(spoken.end(envelope, read).await)
}

async fn by_discover<P: Plane>(
    visit: Visit<P>,
    message: mcp::Request,
    envelope: &Envelope,
) -> Result<Attempt, Refused> {
    let form = Form::Stateless { envelope, schema: None };
    let spoken = match ask(visit, Route::Alone, message, form).await? {
        Ok(spoken) => spoken,
        Err(attempt) => return Ok(attempt),
    };
    let read = |result: &mut Json, passes| Ok((Tongue::Stateless, Offer::of_discover(result, passes)?));
    Ok(spoken.end(envelope, read).await)
}

/// First words that were permitted and sent, with what came of them.
struct Spoken<P: Plane> {
    exchange: Exchange<P>,
    last: Result<mcp::Response, End>,
    standing: Option<Standing>,
    unclaimed: Unclaimed<P>,
}

/// A session that a server has opened and nobody has taken: it is ended there, unless somebody does.
struct Unclaimed<P: Plane>(Option<(Arc<Gateway<P>>, Arc<Session>)>);

impl<P: Plane> Unclaimed<P> {
    fn new(exchange: &Exchange<P>, id: Option<http::HeaderValue>, standing: &Standing) -> Self {
        let Some(id) = id else { return Self(None) };
        let gate = &exchange.gate;
        let opened = Opened {
            // No revision is agreed on, and the first one says so by saying nothing.
            tongue: Tongue::Session { revision: Revision::V20250326, id: Some(id) },
            offer: Offer::default(),
            envelope: Envelope::default(),
            standing: standing.clone(),
        };
        let (holder, now) = (gate.plane.holder(&exchange.caller), gate.config.clock.now());
        let upstream = Arc::clone(&exchange.upstream);
        let session = Session::new(String::new(), holder, Client::Stream, opened, upstream, now);
        Self(Some((Arc::clone(gate), Arc::new(session))))
    }

    /// What the server calls it.
    fn id(&self) -> Option<http::HeaderValue> {
        match &self.0.as_ref()?.1.tongue {
            Tongue::Session { id, .. } => id.clone(),
            Tongue::Stateless => None,
        }
    }
}

impl<P: Plane> Drop for Unclaimed<P> {
    fn drop(&mut self) {
        if let Some((gate, session)) = self.0.take() {
            gate.end_upstream(vec![session]);
        }
    }
}

impl<P: Plane> Spoken<P> {
    /// Reads what the server offers, before it is put into the client's form.
    async fn end(
        mut self,
        envelope: &Envelope,
        read: impl FnOnce(&mut Json, Passes) -> Result<(Tongue, Offer), Trouble>,
    ) -> Attempt {
        let mut opened = None;
        if let (Ok(mcp::Response { outcome: Ok(result), .. }), Some(standing)) =
            (&mut self.last, self.standing.take())
        {
            match read(result, self.exchange.upstream.passes) {
                Ok((tongue, offer)) => {
                    opened = Some(Opened { tongue, offer, envelope: envelope.clone(), standing });
                }
                Err(trouble) => self.last = Err(trouble.into()),
            }
        }
        let is_foreign = match &self.last {
            Ok(response) => response.outcome.is_err(),
            Err(End::Trouble(Trouble::Status(status))) => (400..500).contains(status),
            Err(End::Trouble(Trouble::Revision | Trouble::Garbage(_) | Trouble::NoAnswer)) => true,
            Err(_) => false,
        };
        let response = self.exchange.settle(self.last).await;
        if opened.is_some() {
            self.unclaimed.0 = None;
        }
        Attempt { response, opened, is_foreign }
    }
}

async fn ask<P: Plane>(
    visit: Visit<P>,
    route: Route,
    message: mcp::Request,
    form: Form<'_>,
) -> Result<Result<Spoken<P>, Attempt>, Refused> {
    let id = message.id.clone();
    let outbound = match Outbound::new(message, &visit.upstream, form, visit.gate.number()) {
        Ok(outbound) => outbound,
        Err(error) => {
            let response = mcp::Response::error(Some(id), error);
            return Ok(Err(Attempt { response, opened: None, is_foreign: false }));
        }
    };
    let authorized = visit.authorize(&Request::Open, &outbound).await?;
    // The answer is read as the server gives it; what the client gets of it is made from that.
    let (mut exchange, permitted) =
        Exchange::begin(visit, Front::Session, route, Request::Open, outbound, authorized, None);
    let (standing, unclaimed) = match exchange.send(permitted).await {
        Ok((standing, id)) => {
            let id = id.filter(|_| matches!(exchange.route, Route::Opening));
            let unclaimed = Unclaimed::new(&exchange, id, &standing);
            (Some(standing), unclaimed)
        }
        Err(end) => {
            let unclaimed = Unclaimed(None);
            return Ok(Ok(Spoken { exchange, last: Err(end), standing: None, unclaimed }));
        }
    };
    let last = loop {
        if let Step::Last(last) = exchange.step().await {
            break last;
        }
    };
    Ok(Ok(Spoken { exchange, last, standing, unclaimed }))
}

pub(crate) fn question(method: &str, params: Object) -> mcp::Request {
    mcp::Request::new(Id::Number(0), method, Some(Json::Object(params)))
}

/// `initialize` for a client that knows no sessions.
pub(crate) fn initialize_params(envelope: &Envelope) -> Object {
    let mut params = Object::new();
    params.insert("protocolVersion", Revision::LATEST.as_str());
    params.insert("capabilities", envelope.capabilities.clone());
    params.insert("clientInfo", envelope.client_info.clone().unwrap_or_else(ourselves));
    params
}
