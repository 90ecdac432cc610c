//! The tokens of a person who signed in at the command line, and how they are renewed.

use std::path::{Path, PathBuf};

use base::{Secret, Timestamp};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use super::{ApiClient, ApiError};
use crate::cli::contexts::{Context, Contexts};

/// The client by which the command line asks people, as the first start registers it.
pub(crate) const CLI_CLIENT: &str = control::bootstrap::CLI_CLIENT;
/// How long before its end a token is renewed, in seconds.
const AHEAD_SECONDS: i64 = 30;

/// Tokens of a person. No `Debug`.
#[derive(Clone)]
pub(crate) struct Held {
    access: Secret,
    refresh: Option<Secret>,
    expires: i64,
}

impl Held {
    /// What a token endpoint answered.
    pub(crate) fn of(answer: &Value, now: Timestamp) -> Option<Self> {
        Some(Self {
            access: Secret::new(answer["access_token"].as_str()?.to_owned()),
            refresh: answer["refresh_token"].as_str().map(|token| Secret::new(token.to_owned())),
            expires: now.seconds() + answer["expires_in"].as_i64()?,
        })
    }

    /// As a context keeps them.
    pub(crate) fn context(&self, url: String, ca_file: Option<PathBuf>) -> Context {
        Context {
            url,
            token: Some(self.access.expose().to_owned()),
            ca_file,
            refresh: self.refresh.as_ref().map(|token| token.expose().to_owned()),
            expires: Some(self.expires),
        }
    }

    fn is_good(&self, now: Timestamp) -> bool {
        now.seconds() + AHEAD_SECONDS < self.expires
    }
}

/// Where renewed tokens are kept.
pub(crate) struct Renewal {
    file: PathBuf,
    name: String,
    held: tokio::sync::Mutex<Option<Held>>,
}

impl Renewal {
    /// For the context of this name in this file, where it is one of somebody who signed in.
    pub(crate) fn of(file: PathBuf, name: &str, context: &Context) -> Option<Self> {
        context.refresh.as_ref()?;
        Some(Self { file, name: name.to_owned(), held: tokio::sync::Mutex::new(held(context)) })
    }

    /// A token that is good for a while.
    pub(crate) async fn token(&self, client: &ApiClient, now: Timestamp) -> Result<Secret, ApiError> {
        let mut present = self.held.lock().await;
        if let Some(held) = present.as_ref().filter(|held| held.is_good(now)) {
            return Ok(held.access.clone());
        }
        let held = self.renew(client, now).await?;
        let access = held.access.clone();
        *present = Some(held);
        Ok(access)
    }

    /// SECURITY: a refresh token that is used twice ends everything, so of several commands at once only one renews: the
    /// others wait for it and find what it got.
    async fn renew(&self, client: &ApiClient, now: Timestamp) -> Result<Held, ApiError> {
        let lost = |why: String| ApiError::SignedOut(why);
        let lock = lock(&self.file).map_err(|error| lost(format!("`{}`: {error}", self.file.display())))?;
        let mut contexts = Contexts::read(&self.file).map_err(|trouble| lost(trouble.what))?;
        let context = contexts.contexts.get(&self.name).cloned();
        let context = context.ok_or_else(|| lost(format!("context `{}` is gone", self.name)))?;
        if let Some(held) = held(&context).filter(|held| held.is_good(now)) {
            return Ok(held);
        }
        let refresh = context.refresh.as_deref().ok_or_else(|| lost("you signed out".into()))?;
        let form = [("grant_type", "refresh_token"), ("client_id", CLI_CLIENT), ("refresh_token", refresh)];
        let endpoint = client.outside(&["oauth2", "token"]).into_url();
        let answer = client.form(endpoint.as_str(), &form, &[]).await.map_err(|error| match error {
            ApiError::Refused { code, message, .. } if code == "invalid_grant" => lost(message),
            other => other,
        })?;
        let held = Held::of(&answer, now);
        let held =
            held.ok_or_else(|| ApiError::Malformed("the answer to a renewal holds no token".into()))?;
        contexts.contexts.insert(self.name.clone(), held.context(context.url, context.ca_file));
        contexts.write(&self.file).map_err(|trouble| lost(trouble.what))?;
        drop(lock);
        Ok(held)
    }
}

fn held(context: &Context) -> Option<Held> {
    Some(Held {
        access: Secret::new(context.token.clone()?),
        refresh: context.refresh.clone().map(Secret::new),
        expires: context.expires?,
    })
}

/// Waits until no other command renews; it ends when the file is closed.
fn lock(beside: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = beside.with_extension("lock");
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}
