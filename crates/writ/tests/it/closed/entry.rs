//! The ways in, and what came of each.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    authz::{Target, operations, targets, wanted},
    mcp::{Mcp, is_done, message, refusal},
    web::{Answer, Ask},
    world::World,
};

/// How long an answer may take: two seconds, and one for a machine that is busy with other tests.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// One way in. A new one has no row until it stands in [`Entry::ALL`], and no answer until it stands in
/// [`Entry::request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    McpCall,
    McpList,
    McpOpen,
    McpListen,
    Authorize,
    Token,
    Introspect,
    Revoke,
    Check,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It was done.
    Done,
    /// It was refused: the status, and the code where there is one.
    Refused(String),
    /// Nobody answered.
    Nothing,
}

impl Entry {
    /// The call comes first: what it meets, the others shall know.
    pub(super) const ALL: [Self; 9] = [
        Self::McpCall,
        Self::McpList,
        Self::McpOpen,
        Self::McpListen,
        Self::Authorize,
        Self::Token,
        Self::Introspect,
        Self::Revoke,
        Self::Check,
    ];

    /// Whether it says only what is known, and neither gives nor changes anything.
    pub(super) const fn only_tells(self) -> bool {
        matches!(self, Self::Introspect)
    }

    fn request(self, scene: &Scene) -> Ask {
        let oauth = |path: &str, form: &[(&str, &str)]| {
            let known = [("client_id", "ada"), ("client_secret", scene.world.ada_secret.as_str())];
            let form: Vec<_> = known.iter().chain(form).copied().collect();
            Ask::new("POST", format!("{}/oauth2/{path}", scene.world.node.url())).form(&form)
        };
        let own = ("token", scene.token.as_str());
        match self {
            Self::McpCall => scene.mcp.call("read_note", &json!({ "text": "x" })),
            Self::McpList => scene.mcp.request("tools/list", &json!({})),
            Self::McpOpen => scene.mcp.opening(),
            Self::McpListen => scene.mcp.listen(),
            Self::Authorize => Ask::new("GET", format!("{}/oauth2/authorize", scene.world.node.url())),
            Self::Token => scene.world.token_request(&scene.task, "mcp/notes"),
            Self::Introspect => oauth("introspect", &[own]),
            Self::Revoke => oauth("revoke", &[own]),
            Self::Check => {
                scene.world.admin.ask("POST", "check").json(
                    &json!({ "agent": "ada", "person": "maya", "server": "notes", "tool": "read_note" }),
                )
            }
        }
    }

    /// Tries it.
    pub(super) async fn attempt(self, scene: &Scene) -> Came {
        let request = self.request(scene);
        if self == Self::McpListen {
            // A stream that opens does not end.
            return match within(async { request.open().await.map(|head| head.status().as_u16()) }).await {
                Some(200) => Came::Done,
                Some(status) => Came::Refused(status.to_string()),
                None => Came::Nothing,
            };
        }
        let Some(answer) = within(request.attempt()).await else { return Came::Nothing };
        no_insides(scene, &answer);
        if !answer.status.is_success() {
            return Came::Refused(answer.outcome());
        }
        let said = match self {
            Self::McpCall | Self::McpList | Self::McpOpen => message(&answer),
            Self::Check => answer.json(),
            Self::McpListen | Self::Authorize | Self::Token | Self::Introspect | Self::Revoke => {
                return Came::Done;
            }
        };
        match self {
            Self::Check if said["decision"] != "allow" => {
                Came::Refused(format!("deny {}", said["code"].as_str().unwrap()))
            }
            Self::Check => Came::Done,
            _ if is_done(&said) => Came::Done,
            // A model must be able to act on it.
            _ => {
                assert!(!refusal(&said).is_empty(), "{self:?}: {said}");
                Came::Refused(refusal(&said).to_owned())
            }
        }
    }
}

/// Nothing of an answer when it does not come in time, or the connection breaks.
async fn within<T>(answer: impl Future<Output = Result<T, String>>) -> Option<T> {
    tokio::time::timeout(ANSWER_TIME, answer).await.ok()?.ok()
}

/// SECURITY: what is wrong inside is for the operator's log.
fn no_insides(scene: &Scene, answer: &Answer) {
    let Ok(text) = std::str::from_utf8(&answer.body) else { return };
    for inside in ["sqlite", "SQLITE", "postgres", "os error", scene.world.node.data().to_str().unwrap()] {
        assert!(!text.contains(inside), "the caller is told of our insides: {text}");
    }
}

/// A server at work with an agent in a session, and everything that somebody may ask for prepared.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) mcp: Mcp,
    task: String,
    token: String,
    writes: Vec<(String, String, Option<Value>)>,
}

impl Scene {
    pub(super) async fn new(world: World) -> Self {
        let writes = writes(&world).await;
        // Something to discover.
        world.upstream.offer("late_note");
        let task = world.wide_task().await;
        let token = world.token(&task).await;
        let mcp = world.session(&task).await;
        Self { world, mcp, task, token, writes }
    }

    /// Tries every way in but the writes, the call first and the others at once.
    pub(super) async fn attempt_all(&self) -> Vec<(Entry, Came)> {
        let first = Entry::ALL[0];
        let mut came = vec![(first, first.attempt(self).await)];
        came.extend(
            join_all(Entry::ALL[1..].iter().map(async |&entry| (entry, entry.attempt(self).await))).await,
        );
        came
    }

    /// Tries every operation of the API that changes something, all at once; how often what came of them.
    pub(super) async fn attempt_writes(&self) -> BTreeMap<String, usize> {
        let tries = self.writes.iter().map(async |(method, path, body)| {
            // What is in nobody's power but the person's own.
            let asker = if path.starts_with("tasks") { &self.world.maya } else { &self.world.admin };
            let request = asker.ask(method, path);
            let request = body.as_ref().map_or(request.clone(), |body| request.json(body));
            let answer = within(request.attempt()).await;
            answer.map_or("no answer".to_owned(), |answer| {
                no_insides(self, &answer);
                if !answer.status.is_success() {
                    return answer.outcome();
                }
                // What is so already needs no record.
                assert_eq!(answer.json()["outcome"], "unchanged", "{method} {path} was done");
                "200 unchanged".to_owned()
            })
        });
        let mut came = BTreeMap::new();
        for outcome in join_all(tries).await {
            *came.entry(outcome).or_default() += 1;
        }
        came
    }
}

/// A request of every operation of the API that changes something, for a thing that is there.
async fn writes(world: &World) -> Vec<(String, String, Option<Value>)> {
    let document = Ask::new("GET", format!("{}/api/v1/openapi.json", world.node.url())).send().await.done();
    let mut writes = Vec::new();
    for (method, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        if method == "get" || matches!(id, "check" | "test_server") {
            continue;
        }
        // A new thing where one can be made, since what is there already would stay as it is.
        let makes = id.starts_with("put_") && id != "put_secret_value";
        let mut targets = targets(id).iter().copied();
        let target = targets.find(|target| makes == (*target == Target::Missing)).unwrap();
        let (mut path, mut body) = wanted(world, id, target).await;
        if id == "apply" {
            path = "apply".into();
            let group =
                crate::world::document("Group", "late", &json!({ "of": "agent", "description": "x" }));
            body = Some(json!({ "documents": [group] }));
        }
        writes.push((method, path, body));
    }
    writes
}

/// One line for each way in.
pub(super) fn table(came: &[(Entry, Came)]) -> String {
    let mut lines = String::new();
    for (entry, came) in came {
        let came = match came {
            _ if entry.only_tells() => "tells what is known, or refuses",
            Came::Done => "done",
            Came::Refused(how) => steady(how),
            Came::Nothing => "no answer",
        };
        writeln!(lines, "    {:11} {came}", format!("{entry:?}")).unwrap();
    }
    lines
}

/// The part of a refusal that does not depend on who came first: whether the node is stale by now, whether a wait or
/// the database's answer ended it.
pub(super) fn steady(how: &str) -> &str {
    match how.split_once(' ').map_or(how, |(status, _)| status) {
        "500" | "503" => "5xx",
        status if how.contains(' ') => status,
        "fault" | "node_stale" | "busy" => "not now",
        how => how,
    }
}
