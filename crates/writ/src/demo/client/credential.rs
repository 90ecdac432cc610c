//! By what an agent proves itself to a server.

use base::Secret;
use http::{HeaderMap, HeaderValue, Request, header};

use super::ClientError;

/// Makes DPoP proofs with the agent's key.
pub(crate) trait Prove: Send + Sync {
    /// A proof (RFC 9449, section 4.2) for one request: `method` and `url` without query and fragment, bound to
    /// `token`, with the server's `nonce` where it gave one. The error is a text for a person.
    fn prove(&self, method: &str, url: &str, token: &Secret, nonce: Option<&str>) -> Result<String, String>;
}

/// An access token, and what must come along with it.
pub(crate) enum Credential {
    /// Nothing: to see how a server asks for credentials.
    Nothing,
    /// A bearer token (RFC 6750).
    Bearer(Secret),
    /// A token bound to a key (RFC 9449).
    Dpop {
        /// The access token.
        token: Secret,
        /// The holder of the key.
        key: Box<dyn Prove>,
    },
}

impl Credential {
    pub(super) fn authorise<B>(
        &self,
        request: &mut Request<B>,
        nonce: Option<&str>,
    ) -> Result<(), ClientError> {
        match self {
            Self::Nothing => Ok(()),
            Self::Bearer(token) => {
                insert(request.headers_mut(), header::AUTHORIZATION.as_str(), "Bearer ", token)
            }
            Self::Dpop { token, key } => {
                let (uri, method) = (request.uri(), request.method().as_str());
                let url = format!(
                    "{}://{}{}",
                    uri.scheme_str().unwrap_or("http"),
                    uri.authority().map_or("", |authority| authority.as_str()),
                    uri.path(),
                );
                let proof = key.prove(method, &url, token, nonce).map_err(ClientError::Proof)?;
                insert(request.headers_mut(), header::AUTHORIZATION.as_str(), "DPoP ", token)?;
                insert(request.headers_mut(), "dpop", "", &Secret::new(proof))
            }
        }
    }
}

fn insert(
    headers: &mut HeaderMap,
    name: &'static str,
    scheme: &str,
    secret: &Secret,
) -> Result<(), ClientError> {
    let mut value = HeaderValue::try_from(format!("{scheme}{}", secret.expose())).map_err(|_| {
        ClientError::Protocol(format!("the value of `{name}` has signs that no header can hold"))
    })?;
    // SECURITY: marked values are not printed by `Debug` and not kept in HTTP/2 tables.
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
