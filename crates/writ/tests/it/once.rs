//! What works once works once, also when many come for it and the server is killed in the middle of it.

use std::collections::HashMap;

use serde_json::json;
use tokio::task::JoinSet;
use wire::jose::{Algorithm, SigningKey};

use crate::{
    mcp::proof,
    node::{On, Setup},
    web::{Answer, Ask},
    world::{World, document},
};

const PASSWORD: &str = "correct horse battery staple";
const CALLBACK: &str = "https://client.example/callback";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// How many come together, and how many where an address or a name may try less often.
const TOGETHER: usize = 64;
const TOGETHER_SLOWLY: usize = 8;
/// After how many answers the server is killed.
const KILLED_AFTER: [usize; 3] = [1, 2, 5];

/// Somebody at the pages, without scripts.
#[derive(Clone, Default)]
struct Visitor {
    url: String,
    cookie: Option<String>,
}

/// A page as it came, or where it leads.
struct Seen {
    status: u16,
    location: Option<String>,
    html: String,
}

impl Seen {
    /// What the page holds between two marks.
    fn between(&self, before: &str, after: char) -> String {
        let rest = self.html.split(before).nth(1).unwrap_or_else(|| panic!("no `{before}` in {}", self.html));
        rest.split(after).next().unwrap().to_owned()
    }

    fn hidden(&self, name: &str) -> String {
        self.between(&format!("name=\"{name}\" value=\""), '"')
    }

    fn parameter(&self, name: &str) -> String {
        let location = self.location.as_deref().unwrap_or_else(|| panic!("leads nowhere: {}", self.html));
        let found: HashMap<_, _> = url::Url::parse(location).unwrap().query_pairs().into_owned().collect();
        found.get(name).unwrap_or_else(|| panic!("no `{name}` in {location}")).clone()
    }
}

impl Visitor {
    /// Comes in by a link and sets a password.
    async fn arrived(world: &World) -> Self {
        let mut visitor = Self { url: world.node.url(), cookie: None };
        let code = link(world).await;
        assert_eq!(visitor.post("/join", &[("code", &code)]).await.status, 303);
        assert_eq!(visitor.post("/account/password", &[("password", PASSWORD)]).await.status, 303);
        visitor
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        let ask = Ask::new(method, format!("{}{path}", self.url)).header("origin", &self.url);
        match &self.cookie {
            Some(cookie) => ask.header("cookie", &format!("__Host-writ-session={cookie}")),
            None => ask,
        }
    }

    async fn get(&mut self, path: &str) -> Seen {
        let answer = self.ask("GET", path).send().await;
        self.keep(&answer)
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Seen {
        let answer = self.ask("POST", path).form(form).send().await;
        self.keep(&answer)
    }

    fn keep(&mut self, answer: &Answer) -> Seen {
        for cookie in answer.headers.get_all("set-cookie") {
            if let Some(value) = cookie.to_str().unwrap().strip_prefix("__Host-writ-session=") {
                self.cookie = value.split(';').next().map(str::to_owned);
            }
        }
        let location = answer.headers.get("location").map(|to| to.to_str().unwrap().to_owned());
        let html = String::from_utf8_lossy(&answer.body).into_owned();
        Seen { status: answer.status.as_u16(), location, html }
    }

    async fn follow(&mut self, mut seen: Seen) -> Seen {
        while let Some(path) = seen.location.clone().filter(|to| to.starts_with('/')) {
            seen = self.get(&path).await;
        }
        seen
    }

    /// Lets whoever asks on this page do all that it asks for.
    async fn agree(&mut self, page: Seen) -> Seen {
        let visit = page.hidden("visit");
        let mut form =
            vec![("visit", visit.as_str()), ("decision", "allow"), ("seconds", "3600"), ("calls", "9")];
        form.extend(
            page.html
                .split("type=\"checkbox\" name=\"")
                .skip(1)
                .map(|rest| (rest.split('"').next().unwrap(), "yes")),
        );
        self.post("/consent", &form).await
    }

    /// A code for the client `helper`.
    async fn code(&mut self) -> String {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(request(&self.url)).finish();
        let seen = self.get(&format!("/oauth2/authorize?{query}")).await;
        let page = self.follow(seen).await;
        if page.location.is_some() {
            page.parameter("code")
        } else {
            self.agree(page).await.parameter("code")
        }
    }
}

fn request(url: &str) -> Vec<(&'static str, String)> {
    let fixed = [
        ("client_id", "helper"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
    fixed.chain([("resource", format!("{url}/mcp/notes"))]).collect()
}

/// What a link for Maya holds.
async fn link(world: &World) -> String {
    let made = world.admin.post("people/maya/invitations", &json!({})).await.done();
    made["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

async fn prepared(on: On) -> (World, Visitor) {
    let world = World::with(on, Setup::default()).await;
    let spec = json!({ "display_name": "Helper", "redirect_uris": [CALLBACK] });
    world.admin.post("apply", &json!({ "documents": [document("Client", "helper", &spec)] })).await.done();
    let maya = Visitor::arrived(&world).await;
    (world, maya)
}

fn token(url: &str, form: &[(&str, &str)]) -> Ask {
    Ask::new("POST", format!("{url}/oauth2/token")).form(form)
}

/// So many come for the same; after some answers the server is killed; then as many come again. How many were told that
/// they got it: one, or nobody, where the server died before it could say so.
async fn race(
    world: &mut World,
    ask: Ask,
    gets: fn(&Answer) -> bool,
    killed_after: usize,
    together: usize,
) -> usize {
    let all = || (0..together).map(|_| ask.clone().attempt()).collect::<JoinSet<_>>();
    let (mut answered, mut got) = (0, 0);
    let mut first = all();
    while let Some(answer) = first.join_next().await {
        let Ok(answer) = answer.unwrap() else { continue };
        answered += 1;
        got += usize::from(gets(&answer));
        if answered == killed_after {
            world.node.kill();
        }
    }
    assert!(answered >= killed_after, "{answered} answers");
    world.node.launch().await;
    for answer in all().join_all().await {
        got += usize::from(gets(&answer.unwrap()));
    }
    assert!(got <= 1, "{got} of {together} got it, killed after {killed_after} answers");
    got
}

fn is_ok(answer: &Answer) -> bool {
    answer.status == 200
}

fn leads_on(answer: &Answer) -> bool {
    answer.status == 303
}

async fn codes_and_refresh_tokens(on: On) {
    let (mut world, mut maya) = prepared(on).await;
    let mut got = 0;
    for killed_after in KILLED_AFTER {
        let url = maya.url.clone();
        let redeem = |code: &str| {
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", "helper"),
                ("code", code),
                ("code_verifier", VERIFIER),
                ("redirect_uri", CALLBACK),
            ];
            token(&url, &form)
        };
        got += race(&mut world, redeem(&maya.code().await), is_ok, killed_after, TOGETHER).await;
        let kept =
            redeem(&maya.code().await).send().await.done()["refresh_token"].as_str().unwrap().to_owned();
        let form = [("grant_type", "refresh_token"), ("client_id", "helper"), ("refresh_token", &kept)];
        got += race(&mut world, token(&url, &form), is_ok, killed_after, TOGETHER).await;
    }
    assert!(got > 0, "nobody was told anything");
}

async fn device_codes_and_pushed_requests(on: On) {
    let (mut world, mut maya) = prepared(on).await;
    let mut got = 0;
    for killed_after in KILLED_AFTER {
        let url = maya.url.clone();
        let resource = format!("{url}/mcp/notes");
        let begin = Ask::new("POST", format!("{url}/oauth2/device_authorization"));
        let device = begin.form(&[("client_id", "helper"), ("resource", &resource)]).send().await.done();
        let seen = maya.post("/device", &[("user_code", device["user_code"].as_str().unwrap())]).await;
        let page = maya.follow(seen).await;
        assert_eq!(maya.agree(page).await.status, 200);
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = [
            ("grant_type", grant),
            ("client_id", "helper"),
            ("device_code", device["device_code"].as_str().unwrap()),
        ];
        got += race(&mut world, token(&url, &form), is_ok, killed_after, TOGETHER).await;

        let form = request(&url);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let pushed = Ask::new("POST", format!("{url}/oauth2/par")).form(&form).send().await.done();
        let uri = pushed["request_uri"].as_str().unwrap();
        let ask = maya.ask("GET", &format!("/oauth2/authorize?client_id=helper&request_uri={uri}"));
        got += race(&mut world, ask, leads_on, killed_after, TOGETHER).await;
    }
    assert!(got > 0, "nobody was told anything");
}

async fn links_and_codes_of_people(on: On) {
    let (mut world, mut maya) = prepared(on).await;
    let mut got = 0;
    let stranger = Visitor { cookie: None, ..maya.clone() };
    for killed_after in KILLED_AFTER {
        let ask = stranger.ask("POST", "/join").form(&[("code", &link(&world).await)]);
        got += race(&mut world, ask, leads_on, killed_after, TOGETHER_SLOWLY).await;
    }
    // She came in a moment ago; a generator of codes, and the codes for the day on which it is lost.
    let page = maya.get("/account/totp").await;
    let seed = page.between("<p class=\"seed\"><code>", '<').replace(' ', "");
    let form = [("ticket", &page.hidden("ticket")[..]), ("code", &generated(&seed, 0))];
    let page = maya.post("/account/totp", &form).await;
    let recovery: Vec<_> =
        page.html.split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(recovery.len(), 10, "{}", page.html);
    // The step of this moment is spent; the next one counts already, for clocks that are fast.
    let next = generated(&seed, 1);
    for (code, killed_after) in std::iter::once(&*next).chain(recovery).zip(KILLED_AFTER) {
        let form = [("name", "maya"), ("password", PASSWORD)];
        let half = stranger.clone().post("/login", &form).await;
        let ask =
            stranger.ask("POST", "/login/code").form(&[("ticket", &half.hidden("ticket")), ("code", code)]);
        got += race(&mut world, ask, leads_on, killed_after, TOGETHER_SLOWLY).await;
    }
    assert!(got > 0, "nobody was told anything");
}

/// The code that the app of a seed shows so many steps from now.
fn generated(seed: &str, ahead: i64) -> String {
    testkit::totp(seed, crate::mcp::now().seconds() / 30 + ahead)
}

async fn proofs(on: On) {
    let (mut world, maya) = prepared(on).await;
    let task = world.wide_task().await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut got = 0;
    // Whoever is late hears so before the one who was first has a token that is on record.
    for killed_after in [1, 5, TOGETHER] {
        let shown = proof(&key, &format!("{}/oauth2/token", maya.url), None);
        let ask = world.token_request(&task, "mcp/notes").header("dpop", &shown);
        got += race(&mut world, ask, is_ok, killed_after, TOGETHER).await;
    }
    assert!(got > 0, "nobody was told anything");
}

macro_rules! races {
    ($($race:ident: $sqlite:ident, $postgres:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sqlite() {
                $race(On::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $postgres() {
                $race(On::Postgres).await;
            }
        )*
    };
}

races! {
    codes_and_refresh_tokens: codes_and_refresh_tokens_on_sqlite, codes_and_refresh_tokens_on_postgres;
    device_codes_and_pushed_requests: device_codes_and_pushed_requests_on_sqlite, device_codes_and_pushed_requests_on_postgres;
    links_and_codes_of_people: links_and_codes_of_people_on_sqlite, links_and_codes_of_people_on_postgres;
    proofs: proofs_on_sqlite, proofs_on_postgres;
}
