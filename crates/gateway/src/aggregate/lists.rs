//! Lists over all servers.
//!
//! Each server is asked as at its own endpoint: with a decision and a record for each page, and filtered to what the caller
//! may use. A server that does not answer in time is left out, and the result says so in `_meta`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::response::Response;
use base::Charge;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use wire::{
    json::{Json, Object},
    mcp::{self, Envelope, RpcError, code},
};

use super::{Aggregate, Whole};
use crate::{
    Holder, List, Plane, Refused, Request, Unauthorized,
    call::{self, Begun},
    exchange::{Exchange, Step},
    front::{Front, Route, Told},
    gateway::Visit,
    opening::{self, NoWay},
    reply::{self, Stop},
    request::Generation,
    stateless::{act_of, passing},
    translate,
    upstream::Trouble,
};

/// How long all servers together may take for one answer.
const WAIT: Duration = Duration::from_secs(10);
/// How many servers are asked at a time.
const AT_ONCE: usize = 16;
/// How many items make an answer full. What comes next is fetched with its cursor.
const ITEMS_MAX: usize = 1000;
/// How many pages of one server go into an answer.
const PAGES_MAX: usize = 16;
/// The member of a result's `_meta` that names the servers that are left out.
const LEFT_OUT: &str = "writ/left_out";

/// How the client of a list speaks.
#[derive(Clone, Copy)]
enum Asker<'a> {
    Within(&'a Arc<Whole>),
    Alone(&'a Envelope),
}

/// What one server has.
#[derive(Default)]
struct Part {
    items: Vec<Json>,
    /// Where to go on in it, if there is more.
    more: Option<String>,
    /// The room that they take.
    rooms: Vec<Charge>,
}

/// Why there is nothing of a server.
enum Absent {
    /// That concerns all of them.
    Unauthorized(Unauthorized),
    All(RpcError),
    /// It has none, or none for this caller.
    None,
    /// It did not answer.
    Trouble(String),
}

impl From<Refused> for Absent {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unauthorized(unauthorized) => Self::Unauthorized(unauthorized),
            Refused::Denied(denial) if denial.retry_after.is_some() => Self::All(denial.error()),
            Refused::Denied(_) => Self::None,
        }
    }
}

impl From<RpcError> for Absent {
    fn from(error: RpcError) -> Self {
        match error.code {
            code::METHOD_NOT_FOUND => Self::None,
            _ => Self::Trouble(error.message),
        }
    }
}

impl From<NoWay> for Absent {
    fn from(no_way: NoWay) -> Self {
        match no_way {
            NoWay::Refused(refused) => refused.into(),
            NoWay::Failed(error) => error.into(),
        }
    }
}

/// A list for a client with a session.
pub(super) async fn within<P: Plane>(
    all: &Aggregate<P>,
    whole: &Arc<Whole>,
    list: List,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let (answer, rooms) = gather(all, Asker::Within(whole), list, request).await?;
    Ok(reply::holding(reply::message(&answer), rooms))
}

/// A list for a client of 2026-07-28.
pub(super) async fn alone<P: Plane>(
    all: &Aggregate<P>,
    envelope: &Envelope,
    list: List,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let (mut answer, rooms) = gather(all, Asker::Alone(envelope), list, request).await?;
    translate::answer(&mut answer, &Request::List(list), Generation::Stateless, Generation::Stateless);
    Ok(reply::holding(reply::stateless(&answer), rooms))
}

async fn gather<P: Plane>(
    all: &Aggregate<P>,
    asker: Asker<'_>,
    list: List,
    request: mcp::Request,
) -> Result<(mcp::Response, Vec<Charge>), Stop> {
    let id = request.id.clone();
    let start = match Cursor::read(all, list, &request) {
        Ok(start) => start,
        Err(error) => return Ok((mcp::Response::error(Some(id), error), Vec::new())),
    };
    let mut servers = all.servers();
    // A server that is gone meanwhile was the place of nothing else: what follows it follows.
    servers.retain(|visit| visit.upstream.name >= start.server);
    let deadline = Instant::now() + WAIT;
    let (request, start) = (&request, &start);
    let mut parts = stream::iter(servers.into_iter().map(|visit| async move {
        let cursor = start.cursor.clone().filter(|_| visit.upstream.name == start.server);
        let told = timeout_at(deadline, pages(asker, &visit, list, request, cursor)).await;
        let late = || Err(Absent::Trouble("it did not answer in time".to_owned()));
        (visit.upstream.name.clone(), told.unwrap_or_else(|_elapsed| late()))
    }))
    .buffered(AT_ONCE);
    let (mut items, mut left_out, mut next, mut rooms) = (Vec::new(), Vec::new(), None, Vec::new());
    while let Some((server, part)) = parts.next().await {
        if items.len() >= ITEMS_MAX {
            next = Some(Cursor { server, cursor: None });
            break;
        }
        match part {
            Ok(part) => {
                items.extend(part.items);
                rooms.extend(part.rooms);
                if part.more.is_some() {
                    next = Some(Cursor { server, cursor: part.more });
                    break;
                }
            }
            Err(Absent::None) => {}
            Err(Absent::Unauthorized(unauthorized)) => return Err(reply::challenge(unauthorized)),
            Err(Absent::All(error)) => return Ok((mcp::Response::error(Some(id), error), Vec::new())),
            Err(Absent::Trouble(why)) => {
                tracing::warn!(server, list = list.member(), why, "a server is left out of a list over all");
                metrics::counter!("writ_mcp_left_out_total").increment(1);
                left_out.push(server);
            }
        }
    }
    let mut members = Object::new();
    members.insert(list.member(), Json::Array(items));
    if let Some(next) = next {
        members.insert("nextCursor", next.seal(all, list));
    }
    if !left_out.is_empty() {
        let names = Json::array(left_out.iter().map(String::as_str));
        members.insert("_meta", Json::object([(LEFT_OUT, names)]));
    }
    Ok((mcp::Response::result(id, Json::Object(members)), rooms))
}

/// What one server has, page by page.
async fn pages<P: Plane>(
    asker: Asker<'_>,
    visit: &Visit<P>,
    list: List,
    request: &mcp::Request,
    mut cursor: Option<String>,
) -> Result<Part, Absent> {
    let (mut part, mut names) = (Part::default(), HashSet::new());
    for _ in 0..PAGES_MAX {
        let (mut page, room) = page(asker, visit, list, with_cursor(request, cursor.as_deref())).await?;
        part.rooms.extend(room);
        cursor = page.get("nextCursor").and_then(Json::as_str).map(str::to_owned);
        let items = page.as_object_mut().and_then(|page| page.remove(list.member()));
        let Some(Json::Array(items)) = items else {
            return Err(Absent::Trouble("a list without items".to_owned()));
        };
        let is_new = |item: &Json| item.get("name").and_then(Json::as_str).map(str::to_owned);
        // Which of two tools a call would reach, only the server knows.
        if list == List::Tools && !items.iter().filter_map(is_new).all(|name| names.insert(name)) {
            return Err(Absent::Trouble("two tools of one name".to_owned()));
        }
        part.items.extend(items);
        if cursor.is_none() || part.items.len() >= ITEMS_MAX {
            break;
        }
    }
    part.more = cursor;
    Ok(part)
}

fn with_cursor(request: &mcp::Request, cursor: Option<&str>) -> mcp::Request {
    let mut request = request.clone();
    match cursor {
        Some(cursor) => {
            let params = request.params.get_or_insert_with(|| Json::Object(Object::new()));
            if let Some(params) = params.as_object_mut() {
                params.insert("cursor", cursor);
            }
        }
        None => {
            if let Some(params) = request.params.as_mut().and_then(Json::as_object_mut) {
                params.remove("cursor");
            }
        }
    }
    request
}

/// One page of one server, once more where that had forgotten its session.
async fn page<P: Plane>(
    asker: Asker<'_>,
    visit: &Visit<P>,
    list: List,
    message: mcp::Request,
) -> Result<(Json, Option<Charge>), Absent> {
    for _ in 0..2 {
        let (front, route) = match asker {
            Asker::Within(whole) => (Front::Session, Route::Within(whole.part(visit).await?)),
            Asker::Alone(envelope) => {
                let envelope = passing(envelope.clone(), visit.upstream.passes);
                let told = Told { envelope, act: act_of(&message, &visit.upstream) };
                let route = opening::route(visit, &told.envelope).await?;
                (Front::Stateless(Box::new(told)), route)
            }
        };
        if route.session().is_some_and(|session| !session.offer.capabilities.contains(capability(list))) {
            return Err(Absent::None);
        }
        let begun = call::begin(visit.again(), front, route, Request::List(list), message.clone()).await;
        let answer = match begun {
            Begun::UnderWay(exchange) => answer_of(exchange).await,
            Begun::Ended(_, answer) | Begun::Unsent(_, answer) => (answer, None),
            Begun::Refused(_, _, refused) => return Err(refused.into()),
            Begun::Gone(_) => continue,
        };
        let (answer, room) = answer;
        return answer.outcome.map(|page| (page, room)).map_err(Absent::from);
    }
    Err(Trouble::SessionGone.to_error().into())
}

/// The answer alone: what a server says before it has no place in a list, and what it asks meanwhile is not answered.
async fn answer_of<P: Plane>(mut exchange: Box<Exchange<P>>) -> (mcp::Response, Option<Charge>) {
    loop {
        match exchange.step().await {
            Step::Last(last) => return (exchange.settle(last).await, exchange.room.take()),
            Step::Ask(question) => {
                if let Some(session) = exchange.route.session() {
                    exchange.gate.answer_server(&exchange.upstream, session, question);
                }
            }
            Step::Pass(_) | Step::Pause(_) => {}
        }
    }
}

/// The capability of a server that has such a list.
const fn capability(list: List) -> &'static str {
    match list {
        List::Tools => "tools",
        List::Resources | List::ResourceTemplates => "resources",
        List::Prompts => "prompts",
    }
}

/// Where a list goes on: at a server, and in its own list where that has begun.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cursor {
    server: String,
    cursor: Option<String>,
}

impl Cursor {
    /// SECURITY: what a client gets is sealed for its holder and this list: a server's own cursor may say things, and to the
    /// server all clients look alike.
    fn bound<P: Plane>(all: &Aggregate<P>, list: List) -> Vec<u8> {
        let Holder { actor, task } = &all.holder;
        format!("list cursor\0{actor}\0{task}\0{}", list.member()).into_bytes()
    }

    fn seal<P: Plane>(self, all: &Aggregate<P>, list: List) -> String {
        let own = self.cursor.map_or_else(String::new, |cursor| format!("\0{cursor}"));
        all.gate.plane.seal(format!("{}{own}", self.server).as_bytes(), &Self::bound(all, list))
    }

    fn read<P: Plane>(all: &Aggregate<P>, list: List, request: &mcp::Request) -> Result<Self, RpcError> {
        let Some(cursor) = request.param("cursor") else { return Ok(Self::default()) };
        let foreign = || {
            RpcError::invalid_params("`params.cursor` is none that was given here; list from the beginning")
                .with_code("foreign_cursor")
        };
        let sealed = cursor.as_str().ok_or_else(foreign)?;
        let plain = all.gate.plane.unseal(sealed, &Self::bound(all, list)).ok_or_else(foreign)?;
        let text = String::from_utf8(plain).map_err(|_| foreign())?;
        Ok(match text.split_once('\0') {
            Some((server, cursor)) => Self { server: server.to_owned(), cursor: Some(cursor.to_owned()) },
            None => Self { server: text, cursor: None },
        })
    }
}
