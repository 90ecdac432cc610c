//! Pushed authorization requests (RFC 9126).

use base::{Ctx, Error, Fault, Secret};
use http::HeaderMap;
use store::Unrecorded;
use wire::oauth::{ErrorCode, Form, OAuthError};

use super::{asked::Unanswerable, client::Client, said::said};
use crate::{
    control::Control,
    opaque::{new_secret, sha256},
    readers::Reader,
};

/// Where requests are pushed.
pub(super) const PUSH_PATH: &str = "/oauth2/par";
/// How long a pushed request waits, in seconds.
pub(super) const PUSHED_SECONDS: i64 = 60;
/// The largest request that is kept for a person, in bytes: it travels with them as one that was not kept does.
pub(super) const BYTES_MAX: usize = 24 * 1024;
const URN: &str = "urn:ietf:params:oauth:request_uri:";

impl Control {
    /// Keeps a request, if it is one that would be shown to a person. Answers with the URI that stands for it.
    pub(super) async fn push_request(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        address: &str,
    ) -> Result<Secret, OAuthError> {
        let form = Form::parse(body)?;
        if body.len() > BYTES_MAX {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, "the request is larger than 24 KiB"));
        }
        if form.get("request_uri").is_some() {
            let why = "`request_uri` cannot be pushed (RFC 9126, section 2.1)";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, why));
        }
        if !self.inner().tries.admit_address(&format!("push {address}"), self.now()) {
            return Err(OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "too many requests; try again shortly",
            ));
        }
        let asking = self.asking_at(PUSH_PATH, headers, &form).await?;
        let Client::App(app) = asking.client() else {
            let why = "agents and workloads ask for themselves; they have nothing to push";
            return Err(OAuthError::new(ErrorCode::UnauthorizedClient, why));
        };
        let answering =
            self.answering(&form, &asking.ctx).await.map_err(|unanswerable| match unanswerable {
                Unanswerable::Request(why) => OAuthError::new(ErrorCode::InvalidRequest, why),
                Unanswerable::Error(error) => said(error),
            })?;
        if answering.client.client_id != app.client_id {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, "`client_id` is another client's"));
        }
        self.asked(&form, app)?;
        // Whoever shows a key here redeems the code with it (RFC 9449, section 10.1).
        let (named, shown) = (form.get("dpop_jkt"), asking.key.as_deref());
        if named.is_some() && shown.is_some() && named != shown {
            return Err(OAuthError::new(
                ErrorCode::InvalidDpopProof,
                "`dpop_jkt` is not the key of the proof",
            ));
        }
        let kept = kept_parameters(body, shown.filter(|_| named.is_none()));
        let uri = new_secret(URN, asking.ctx.dice.as_ref());
        let digest = sha256(uri.expose().as_bytes());
        let fault = |fault: Fault| said(fault.into());
        let (mut tx, ()) = self.begin(&self.system("pushed requests"), |_| Ok(())).await.map_err(said)?;
        let sql = "insert into pushed_request (digest, client, expires, body) values ($1, $2, $3, $4)";
        let expires = asking.ctx.now.plus_seconds(PUSHED_SECONDS);
        let args = [(&digest).into(), (&app.client_id).into(), expires.into(), kept.into()];
        tx.exec(sql, &args).await.map_err(fault)?;
        // It gives no authority: a person has to agree to it like to any other.
        tx.commit_unrecorded(Unrecorded::Ceremony).await.map_err(fault)?;
        Ok(uri)
    }

    /// The request behind a URI of ours, which is used up by it. `None` for one that is not ours, or was used.
    pub(super) async fn pushed_request(
        &self,
        client_id: &str,
        uri: &str,
        ctx: &Ctx,
    ) -> Result<Option<String>, Error> {
        // SECURITY: a URI that is not of ours is never fetched.
        if !uri.starts_with(URN) || uri.len() > 256 {
            return Ok(None);
        }
        let digest = sha256(uri.as_bytes());
        let there = {
            let _place = self.inner().readers.admit(Reader::Stranger).await?;
            let sql = "select client from pushed_request where digest = $1 and client = $2 and expires > $3";
            self.store().read().await?.row(sql, &[(&digest).into(), client_id.into(), ctx.now.into()]).await?
        };
        if there.is_none() {
            return Ok(None);
        }
        let (mut tx, ()) = self.begin(&self.system("pushed requests"), |_| Ok(())).await?;
        // INVARIANT: one statement says whether the URI is used for the first time.
        let sql =
            "delete from pushed_request where digest = $1 and client = $2 and expires > $3 returning body";
        let row = tx.row(sql, &[(&digest).into(), client_id.into(), ctx.now.into()]).await?;
        let body = row.map(|row| row.text(0)).transpose()?;
        tx.commit_unrecorded(Unrecorded::Ceremony).await?;
        Ok(body)
    }
}

/// The request without what the client proved itself with.
fn kept_parameters(body: &[u8], jkt: Option<&str>) -> String {
    const PROOFS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];
    let pairs = url::form_urlencoded::parse(body).filter(|(name, _)| !PROOFS.contains(&name.as_ref()));
    let key = jkt.map(|jkt| ("dpop_jkt", jkt));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).extend_pairs(key).finish()
}

#[cfg(test)]
mod tests {
    use super::kept_parameters;

    #[test]
    fn proofs_are_not_kept() {
        let body = b"client_id=c&client_secret=s&state=a%26b&client_assertion=x&client_assertion_type=y";
        assert_eq!(kept_parameters(body, None), "client_id=c&state=a%26b");
        assert_eq!(kept_parameters(b"client_id=c", Some("k")), "client_id=c&dpop_jkt=k");
    }
}
