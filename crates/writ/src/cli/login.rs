//! `writ login`, `writ logout` and `writ whoami`: a person at the command line, as themself.

use std::path::PathBuf;
use std::time::Duration;

use base::Secret;
use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;
use wire::oauth::CodeChallenge;

use super::contexts::{Context, Contexts};
use super::environment::{nonce, now};
use super::exit::{Exit, Outcome, Trouble};
use super::file;
use super::output::{emit, talk};
use super::setting::Setting;
use crate::api_client::{ApiClient, CLI_CLIENT, Held};

/// How long somebody may take in their browser.
const PATIENCE: Duration = Duration::from_mins(10);
/// The largest request of a browser that comes back, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Signs you in through your browser, and keeps the context for the commands that follow.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ login --url https://writ.example",
    after_help = "What is kept lies in ~/.config/writ/contexts.toml, readable by you alone; tokens are renewed by themselves for a week. `writ logout` ends it."
)]
pub(crate) struct Login {
    /// What to call the context; the server's host when not given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Show a code to be entered in a browser elsewhere
    #[arg(long, conflicts_with = "with_token")]
    device: bool,
    /// Read an API token from standard input instead: for machines
    #[arg(long)]
    with_token: bool,
    /// Show the address, and do not open a browser
    #[arg(long)]
    no_open: bool,
}

/// Signs you out: the tokens of the context end, here and at the server.
#[derive(Debug, Args)]
#[command(before_help = "$ writ logout")]
pub(crate) struct Logout {}

/// Says who you are to the server.
#[derive(Debug, Args)]
#[command(before_help = "$ writ whoami")]
pub(crate) struct WhoAmI {}

impl Login {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let (client, ca_file) = setting.stranger()?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => client.base().host_str().unwrap_or("writ").to_owned(),
        };
        let url = client.base().as_str().trim_end_matches('/').to_owned();
        let context = if self.with_token {
            let token = file::text(&PathBuf::from("-"))?.trim().to_owned();
            ApiClient::new(&url, Some(Secret::new(token.clone())), ca_file.as_deref())?
                .get(&client.at(&["self"]))
                .await?;
            Context { url, token: Some(token), ca_file, refresh: None, expires: None }
        } else {
            let held = if self.device { by_device(&client).await? } else { self.by_browser(&client).await? };
            held.context(url, ca_file)
        };
        let path = setting.contexts_file()?;
        let mut contexts = Contexts::read(&path)?;
        contexts.contexts.insert(name.clone(), context);
        contexts.current = Some(name.clone());
        contexts.write(&path)?;
        let (client, _) = setting.connect_to(&name)?;
        let me = client.get(&client.at(&["self"])).await?;
        setting.done(&format!("signed in as {}; context {name} is the current one", said(&me)), &me)
    }

    /// The way of a native app (RFC 8252): a browser, a loopback address, a code that only this process can redeem.
    async fn by_browser(&self, client: &ApiClient) -> Result<Held, Trouble> {
        let metadata = metadata(client).await?;
        let failed = |error: std::io::Error| {
            Trouble::new(Exit::Failed, format!("no port for the browser's answer: {error}"))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let redirect = format!("http://{}/callback", listener.local_addr().map_err(failed)?);
        let (state, verifier) = (nonce(), format!("{}{}", nonce(), nonce()));
        let resource = resource(client);
        let mut address = endpoint(&metadata, "authorization_endpoint")?;
        address.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", CLI_CLIENT),
            ("redirect_uri", &redirect),
            ("state", &state),
            ("code_challenge", CodeChallenge::of(&verifier).as_str()),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
        ]);
        talk("open this address in your browser:");
        talk(&format!("  {address}"));
        if !self.no_open {
            open(&address);
        }
        let issuer = metadata["issuer"].as_str().unwrap_or_default();
        let code = match tokio::time::timeout(PATIENCE, answer(&listener, &state, issuer)).await {
            Ok(code) => code?,
            Err(_) => return Err(Trouble::new(Exit::Login, "nobody signed in within ten minutes")),
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", CLI_CLIENT),
            ("code", code.expose()),
            ("code_verifier", &verifier),
            ("redirect_uri", &redirect),
        ];
        let answer = client.form(endpoint(&metadata, "token_endpoint")?.as_str(), &form, &[]).await?;
        Held::of(&answer, now()).ok_or_else(|| Trouble::new(Exit::Failed, "the server sent no token"))
    }
}

/// The way of a device without a browser (RFC 8628).
async fn by_device(client: &ApiClient) -> Result<Held, Trouble> {
    let metadata = metadata(client).await?;
    let resource = resource(client);
    let form = [("client_id", CLI_CLIENT), ("resource", &resource[..])];
    let begun =
        client.form(endpoint(&metadata, "device_authorization_endpoint")?.as_str(), &form, &[]).await?;
    let text = |name: &str| begun[name].as_str().unwrap_or_default().to_owned();
    talk(&format!("open {} on any device and enter the code", text("verification_uri")));
    talk(&format!("  {}", text("user_code")));
    let mut pause = begun["interval"].as_u64().unwrap_or(5);
    let token_endpoint = endpoint(&metadata, "token_endpoint")?;
    let device = text("device_code");
    let until = now().plus_seconds(begun["expires_in"].as_i64().unwrap_or(600));
    loop {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", CLI_CLIENT),
            ("device_code", &device[..]),
        ];
        match client.form(token_endpoint.as_str(), &form, &[]).await {
            Ok(answer) => {
                return Held::of(&answer, now())
                    .ok_or_else(|| Trouble::new(Exit::Failed, "the server sent no token"));
            }
            Err(error) if error.oauth_code() == Some("authorization_pending") && now() < until => {}
            Err(error) if error.oauth_code() == Some("slow_down") && now() < until => pause += 5,
            Err(error) => return Err(error.into()),
        }
    }
}

impl Logout {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let path = setting.contexts_file()?;
        let mut contexts = Contexts::read(&path)?;
        let Some((name, context)) = setting.chosen(&contexts)? else {
            return Err(Trouble::usage("there is no context to sign out of").help("see `writ context list`"));
        };
        if let Some(refresh) = &context.refresh {
            let client = ApiClient::new(&context.url, None, context.ca_file.as_deref())?;
            let metadata = metadata(&client).await?;
            let form = [("client_id", CLI_CLIENT), ("token", refresh)];
            client.form(endpoint(&metadata, "revocation_endpoint")?.as_str(), &form, &[]).await?;
        }
        let kept = Context { token: None, refresh: None, expires: None, ..context };
        contexts.contexts.insert(name.clone(), kept);
        contexts.write(&path)?;
        emit(&format!("signed out of {name}\n"))
    }
}

impl WhoAmI {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        let me = client.get(&client.at(&["self"])).await?;
        setting.done(&said(&me), &me)
    }
}

fn said(me: &Value) -> String {
    let text = |name: &str| me[name].as_str().unwrap_or_default();
    let permissions = me["permissions"].as_array().map_or(&[][..], Vec::as_slice);
    let may: Vec<&str> = permissions.iter().filter_map(Value::as_str).collect();
    let may = if may.is_empty() { String::new() } else { format!(", with {}", may.join(" and ")) };
    format!("{} {}{may}", text("kind"), text("name"))
}

async fn metadata(client: &ApiClient) -> Result<Value, Trouble> {
    let target = client.outside(&[".well-known", "oauth-authorization-server"]);
    Ok(client.get_openly(&target.into_url()).await?)
}

/// An endpoint that the metadata names; a server that does not name it cannot be signed in to.
fn endpoint(metadata: &Value, name: &str) -> Result<Url, Trouble> {
    let url = metadata[name].as_str().and_then(|url| Url::parse(url).ok());
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| Trouble::new(Exit::Failed, format!("the server names no `{name}`")))
}

fn resource(client: &ApiClient) -> String {
    client.outside(&["api", "v1"]).into_url().to_string()
}

/// Opens an address in the person's browser, where there is a way. No shell is involved, and the address is one of the web.
fn open(address: &Url) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    drop(
        std::process::Command::new(opener)
            .arg(address.as_str())
            .stdin(quiet())
            .stdout(quiet())
            .stderr(quiet())
            .spawn(),
    );
}

/// The code that a browser brings back. Whoever else connects to the port meanwhile is told off.
async fn answer(listener: &TcpListener, state: &str, issuer: &str) -> Result<Secret, Trouble> {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let mut request = vec![0; REQUEST_BYTES_MAX];
        let Ok(Ok(read)) = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut request)).await
        else {
            continue;
        };
        let line = String::from_utf8_lossy(&request[..read]);
        let path = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let query = path.strip_prefix("/callback?").unwrap_or_default();
        let form = wire::oauth::Form::parse(query.as_bytes()).ok();
        let form = form.filter(|form| form.get("state") == Some(state) && form.get("iss") == Some(issuer));
        let (status, text, outcome) = match &form {
            None => ("404 Not Found", "There is nothing here.", None),
            Some(form) => match (form.get("code"), form.get("error")) {
                (Some(code), _) => {
                    let text = "You are signed in. Close this page and go back to the terminal.";
                    ("200 OK", text, Some(Ok(Secret::new(code.to_owned()))))
                }
                (None, error) => {
                    let why = form.get("error_description").or(error).unwrap_or("no reason given").to_owned();
                    let text = "You are not signed in. Close this page and go back to the terminal.";
                    ("200 OK", text, Some(Err(Trouble::new(Exit::Login, format!("not signed in: {why}")))))
                }
            },
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
        drop(stream.write_all(answer.as_bytes()).await);
        if let Some(outcome) = outcome {
            return outcome;
        }
    }
}
