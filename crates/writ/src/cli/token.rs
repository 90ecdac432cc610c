//! `writ token`: an access token, asked for as an agent asks.

use std::path::PathBuf;

use base::Secret;
use clap::Args;
use http::HeaderName;
use serde_json::{Value, json};
use wire::dpop::{TargetUri, make_proof};
use wire::jose::SigningKey;
use wire::oauth::{TASK_DETAILS_TYPE, make_client_assertion};

use super::coverage;
use super::discovery::{Discovered, discover};
use super::environment::{nonce, now};
use super::exit::{Exit, Outcome, Trouble};
use super::file;
use super::output::talk;
use super::setting::Setting;
use super::task::ScopeArgs;
use super::things::{given, seconds};
use crate::api_client::{ApiClient, ApiError};

/// How clients prove themselves (RFC 7523).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Asks for an access token as an agent does: with its key (`private_key_jwt`), for one resource and one task.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ token --agent ada --key ada.pem --resource shop --purpose \"answer ticket 4711\" --tool shop/read_ticket",
    after_help = "Without --task and --purpose the token is for the agent's open task, or for a new one that covers everything the agent was granted.\nThe token goes to standard output; the task and what it covers are said on standard error."
)]
pub(crate) struct Token {
    /// The agent: its name or id
    #[arg(long)]
    agent: String,
    /// The agent's private key: PKCS#8 PEM, or a private EC JWK
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the token is for: a URL, or the name of a server behind Writ
    #[arg(long, value_name = "URL|SERVER")]
    resource: String,
    /// The task to work on
    #[arg(long, value_name = "ID", conflicts_with_all = ["purpose", "parent", "tools", "scope", "seconds"])]
    task: Option<String>,
    /// Begin a new task for this purpose
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Make the new task a child of this one
    #[arg(long, value_name = "ID", requires = "purpose")]
    parent: Option<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// How long the new task lives
    #[arg(long = "for", id = "seconds", value_name = "SPAN", value_parser = seconds, requires = "purpose")]
    seconds: Option<i64>,
    /// Bind the token to this private key (DPoP, RFC 9449); may be the agent's own
    #[arg(long, value_name = "FILE")]
    dpop_key: Option<PathBuf>,
}

/// What to ask the token endpoint for.
pub(crate) struct Wish<'a> {
    /// Who asks.
    pub(crate) client_id: &'a str,
    /// The key that proves it.
    pub(crate) key: &'a SigningKey,
    /// The key to which the token shall be bound.
    pub(crate) dpop: Option<&'a SigningKey>,
    /// What the token is for: a URL, or a server's name.
    pub(crate) resource: &'a str,
    /// The task, as authorization details (RFC 9396); none joins the open one.
    pub(crate) details: Option<Value>,
    /// Further parameters: those of a token exchange. None is the client's own grant.
    pub(crate) exchange: &'a [(&'a str, &'a str)],
}

impl Token {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let key = file::private_key(&self.key)?;
        let dpop = self.dpop_key.as_deref().map(file::private_key).transpose()?;
        let details = self.details()?;
        let (client, has_token) = setting.connect()?;
        if has_token {
            coverage::warn_of_unknown(&client, &self.scope.tools).await;
        }
        let wish = Wish {
            client_id: &self.agent,
            key: &key,
            dpop: dpop.as_ref(),
            resource: &self.resource,
            details,
            exchange: &[],
        };
        let answer = request(&client, &wish).await?;
        let lives = answer["expires_in"].as_i64().unwrap_or_default();
        let kind = answer["token_type"].as_str().unwrap_or_default();
        if let Some(said) = coverage::of_token(&answer, &self.agent) {
            talk(&said);
        }
        setting.secret("access_token", &answer, &format!("an access token ({kind}) for the next {lives} s:"))
    }

    fn details(&self) -> Result<Option<Value>, Trouble> {
        if let Some(task) = &self.task {
            return Ok(Some(json!([{ "type": TASK_DETAILS_TYPE, "task": task }])));
        }
        let members = self.scope.members()?;
        let covers = members.values().any(|rules| rules.as_array().is_some_and(|rules| !rules.is_empty()));
        let Some(purpose) = &self.purpose else {
            if covers {
                return Err(Trouble::usage("a new task needs a purpose").help("add --purpose \"...\""));
            }
            return Ok(None);
        };
        if !covers {
            return Err(Trouble::usage("a new task covers what it is given, and nothing was given")
                .help("add --tool SERVER/TOOL, or --scope FILE"));
        }
        let mut details = given([
            ("type", Some(json!(TASK_DETAILS_TYPE))),
            ("purpose", Some(json!(purpose))),
            ("parent", self.parent.clone().map(Value::from)),
            ("expires_in", self.seconds.map(Value::from)),
        ]);
        if let Some(details) = details.as_object_mut() {
            details.extend(members);
        }
        Ok(Some(json!([details])))
    }
}

/// Asks the token endpoint; answers with its response (RFC 6749, section 5.1).
pub(crate) async fn request(client: &ApiClient, wish: &Wish<'_>) -> Result<Value, Trouble> {
    let Discovered { issuer, token_endpoint: endpoint, resource } = discover(client, wish.resource).await?;
    let fault = |fault: base::Fault| Trouble::new(Exit::Failed, fault.to_string());
    let assertion =
        make_client_assertion(wish.key, wish.client_id, &issuer, &nonce(), now()).map_err(fault)?;
    let details = wish.details.as_ref().map(Value::to_string);

    let mut form = vec![
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("resource", resource.as_str()),
    ];
    if wish.exchange.is_empty() {
        form.push(("grant_type", "client_credentials"));
    }
    form.extend(wish.exchange);
    form.extend(details.as_deref().map(|details| ("authorization_details", details)));
    let ask = async |nonce: Option<&str>| {
        let proof = wish.dpop.map(|key| proof_for_token(key, &endpoint, nonce)).transpose()?;
        let headers: Vec<_> = proof.iter().map(|proof| (HeaderName::from_static("dpop"), proof)).collect();
        Ok::<_, Trouble>(client.form(&endpoint, &form, &headers).await)
    };
    let answer = match ask(None).await? {
        // RFC 9449, section 8: the proof once more, with what the server gave.
        Err(ApiError::Refused { code, nonce: Some(nonce), .. }) if code == "use_dpop_nonce" => {
            ask(Some(&nonce)).await?
        }
        answer => answer,
    };
    answer.map_err(|error| unknown_client(error, wish.client_id))
}

/// The token endpoint does not say why it does not know a client; its owner may look.
fn unknown_client(error: ApiError, name: &str) -> Trouble {
    let is_it = matches!(&error, ApiError::Refused { code, .. } if code == "invalid_client");
    let mut trouble = Trouble::from(error);
    if is_it {
        let see = format!("see `writ agent show {name}` and `writ agent keys list {name}`");
        trouble.help = Some(trouble.help.map_or_else(|| see.clone(), |help| format!("{help}\n{see}")));
    }
    trouble
}

fn proof_for_token(key: &SigningKey, endpoint: &str, given: Option<&str>) -> Result<Secret, Trouble> {
    let target = TargetUri::parse(endpoint).ok_or_else(|| {
        Trouble::new(Exit::Failed, format!("the token endpoint `{endpoint}` is not a plain URL"))
    })?;
    let proof = make_proof(key, "POST", &target, None, &nonce(), given, now());
    proof.map(Secret::new).map_err(|fault| Trouble::new(Exit::Failed, fault.to_string()))
}
