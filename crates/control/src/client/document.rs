//! Clients that are described at the URL that is their id.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use moka::{Expiry, sync::Cache};
use tokio::sync::Semaphore;
use wire::{json::Json, oauth::ClientMetadata};

use super::{ClientRefusal, ClientUse, KnownClient, Sort};
use crate::control::Control;

/// The most documents that are remembered.
const REMEMBERED_MAX: u64 = 1024;
/// The longest a document is remembered, in seconds, whatever its server says.
const SECONDS_MAX: u64 = 3600;
/// The shortest: a page that is loaded again fetches nothing.
const SECONDS_MIN: u64 = 60;
/// How many are fetched at once.
const AT_ONCE: usize = 4;

/// What was fetched, and for how many seconds it may be kept.
pub type Fetched = (Vec<u8>, Option<u64>);
/// Fetches an address that a stranger chose. The binary attaches the one client for such addresses.
pub type Fetch =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchFailed>> + Send>> + Send + Sync>;

/// Why something was not fetched. It is shown to whoever named the address, so it says nothing about what lies behind it.
#[derive(Clone, Debug)]
pub struct FetchFailed(pub String);

/// Documents that were fetched.
pub struct Documents {
    remembered: Cache<String, (Arc<KnownClient>, Duration)>,
    places: Semaphore,
}

struct Until;

impl Expiry<String, (Arc<KnownClient>, Duration)> for Until {
    fn expire_after_create(
        &self,
        _url: &String,
        (_, life): &(Arc<KnownClient>, Duration),
        _now: std::time::Instant,
    ) -> Option<Duration> {
        Some(*life)
    }
}

impl Default for Documents {
    fn default() -> Self {
        let remembered = Cache::builder().max_capacity(REMEMBERED_MAX).expire_after(Until).build();
        Self { remembered, places: Semaphore::new(AT_ONCE) }
    }
}

impl Control {
    pub(super) async fn client_at(&self, url: &str) -> Result<Arc<KnownClient>, ClientRefusal> {
        let documents = &self.inner().documents;
        if let Some((client, _)) = documents.remembered.get(url) {
            return Ok(client);
        }
        let fetch = self.inner().fetch.get().cloned();
        let fetch = fetch.ok_or_else(|| ClientRefusal::Document("documents are not fetched here".into()))?;
        admit(url)?;
        let Ok(_place) = documents.places.try_acquire() else {
            return Err(ClientRefusal::Document("too many are fetched at once; try again shortly".into()));
        };
        let (bytes, life) = fetch(url.to_owned()).await?;
        let document = Json::parse(&bytes);
        let document =
            document.map_err(|error| ClientRefusal::Document(format!("it is not strict JSON: {error}")))?;
        let metadata = ClientMetadata::of_document(&document, url);
        let metadata = metadata.map_err(|error| ClientRefusal::Document(error.description))?;
        let client = Arc::new(KnownClient {
            client_id: url.to_owned(),
            sort: Sort::Document,
            purpose: ClientUse::Agent,
            metadata,
            par_required: false,
        });
        let life = Duration::from_secs(life.unwrap_or(SECONDS_MAX).clamp(SECONDS_MIN, SECONDS_MAX));
        documents.remembered.insert(url.to_owned(), (Arc::clone(&client), life));
        Ok(client)
    }
}

/// The rules for a URL that is a client's id (draft-ietf-oauth-client-id-metadata-document, section 3): with a path, without
/// fragment, user information and dot segments. Where it leads is for the one who fetches.
fn admit(url: &str) -> Result<(), ClientRefusal> {
    let refuse = |why: &str| Err(ClientRefusal::Document(why.into()));
    let Ok(parsed) = url::Url::parse(url) else { return refuse("`client_id` is not a URL") };
    let path =
        url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or_default();
    if path.is_empty() || path == "/" {
        return refuse("a `client_id` that is a URL has a path");
    }
    if url.contains('#')
        || parsed.as_str() != url
        || !parsed.username().is_empty()
        || parsed.password().is_some()
    {
        return refuse(
            "a `client_id` that is a URL is in normal form, without fragment and user information",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::admit;

    #[test]
    fn a_clients_url_has_a_path_and_one_spelling() {
        assert!(admit("https://c.example/client.json").is_ok());
        for url in [
            "https://c.example",
            "https://c.example/",
            "https://c.example/a/../client.json",
            "https://C.example/client.json",
            "https://c.example:443/client.json",
            "https://u@c.example/client.json",
            "https://c.example/client.json#x",
            "https://c.example\\client.json",
            "https://0x7f.1/client.json",
        ] {
            assert!(admit(url).is_err(), "{url}");
        }
    }
}
