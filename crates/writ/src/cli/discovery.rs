//! Which authorization server gives out tokens for a resource, by what both say of themselves.
//!
//! The resource names its authorization server (RFC 9728), and that server's own metadata, had from the place that
//! its name prescribes, must carry the same name (RFC 8414, section 3.3).

use serde_json::Value;
use url::Url;

use super::exit::{Exit, Trouble};
use crate::api_client::{ApiClient, ApiError};

/// Where to ask for a token, and what for.
pub(crate) struct Discovered {
    /// The authorization server's name.
    pub(crate) issuer: String,
    /// Its token endpoint.
    pub(crate) token_endpoint: String,
    /// The resource's own name for itself.
    pub(crate) resource: String,
}

/// Looks a resource up: a URL, or the name of a server behind `client`'s.
///
/// SECURITY: all comparisons are of exact strings. A server that takes another's name would have agents sign
/// assertions for that other, and could show them there.
pub(crate) async fn discover(client: &ApiClient, resource: &str) -> Result<Discovered, Trouble> {
    let is_url = resource.contains("://");
    let place = if is_url {
        well_known(resource, "oauth-protected-resource")?
    } else {
        client.outside(&[".well-known", "oauth-protected-resource", "mcp", resource]).into_url()
    };
    let about = document(client, &place, resource).await?;
    let issuer = authorization_server(&about, &place)?;
    let told = member(&about, "resource", &place)?;

    let place = well_known(issuer, "oauth-authorization-server")?;
    let metadata = document(client, &place, issuer).await?;
    let named = member(&metadata, "issuer", &place)?;
    if named != issuer {
        return Err(lie(format!(
            "the resource says that `{issuer}` gives out its tokens, and what is there calls itself `{named}`"
        )));
    }
    let wanted = if is_url { resource.to_owned() } else { format!("{issuer}/mcp/{resource}") };
    if told != wanted {
        return Err(lie(format!("`{wanted}` was asked what it is, and calls itself `{told}`")));
    }
    let token_endpoint = member(&metadata, "token_endpoint", &place)?.to_owned();
    Ok(Discovered { issuer: issuer.to_owned(), token_endpoint, resource: wanted })
}

/// The one authorization server that a resource names.
fn authorization_server<'a>(about: &'a Value, place: &Url) -> Result<&'a str, Trouble> {
    if let Some([Value::String(issuer)]) = about["authorization_servers"].as_array().map(Vec::as_slice) {
        return Ok(issuer);
    }
    let what = format!("`{place}` does not name exactly one entry in `authorization_servers`");
    Err(Trouble::new(Exit::Failed, what).help("is it a resource behind Writ? `writ server list`"))
}

fn member<'a>(document: &'a Value, name: &str, place: &Url) -> Result<&'a str, Trouble> {
    let text = document[name].as_str();
    text.ok_or_else(|| Trouble::new(Exit::Failed, format!("`{place}` says no `{name}`")))
}

fn lie(what: String) -> Trouble {
    Trouble::new(Exit::Unverified, what).help(
        "nothing was signed and nothing was sent; check the address, and the server's --public-url, which must be the one that clients use",
    )
}

/// The place of a document about `url`: between its host and its path (RFC 8414, section 3.1; RFC 9728, section 3.1).
fn well_known(url: &str, name: &str) -> Result<Url, Trouble> {
    let refuse = || Trouble::new(Exit::Failed, format!("`{url}` is no plain http or https URL"));
    let mut place = Url::parse(url).map_err(|_| refuse())?;
    let is_plain = matches!(place.scheme(), "http" | "https")
        && place.username().is_empty()
        && place.password().is_none()
        && place.query().is_none()
        && place.fragment().is_none();
    if !is_plain {
        return Err(refuse());
    }
    let path = format!("/.well-known/{name}{}", place.path().trim_end_matches('/'));
    place.set_path(&path);
    Ok(place)
}

async fn document(client: &ApiClient, place: &Url, about: &str) -> Result<Value, Trouble> {
    client.get_openly(place).await.map_err(|error| match error {
        ApiError::Refused { status, .. } if status == http::StatusCode::NOT_FOUND => {
            let what = format!("nothing is known of `{about}`: there is no `{place}`");
            Trouble::new(Exit::Failed, what).help("see what there is: writ server list")
        }
        error => error.into(),
    })
}

#[cfg(test)]
mod tests;
