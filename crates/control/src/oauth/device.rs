//! Devices without a browser (RFC 8628).

use base::{Error, Fault, Secret, Timestamp};
use http::HeaderMap;
use store::Unrecorded;
use wire::oauth::{ErrorCode, Form, OAuthError, TokenResponse};

use super::{asking::Asking, client::Client, pushed::BYTES_MAX, said::said};
use crate::{
    client::KnownClient,
    control::Control,
    opaque::{new_secret, sha256},
    readers::Reader,
};

/// Where devices begin to wait.
pub(super) const DEVICE_PATH: &str = "/oauth2/device_authorization";
/// How long a device waits for its person, in seconds.
pub(super) const DEVICE_SECONDS: i64 = 600;
/// How often a device may ask, in seconds.
pub(super) const POLL_SECONDS: i64 = 5;
/// Letters that are not taken for digits or for one another, and make no words (section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Parameters of a device's request that stand for the browser it does not have.
const REDIRECT: &str = "http://127.0.0.1/device";

/// A device that waits.
pub(super) struct Waiting {
    pub(super) device_code: Secret,
    pub(super) user_code: String,
}

/// What a device waits for.
pub(super) struct Awaited {
    pub(super) digest: [u8; 32],
    /// Its request.
    pub(super) body: String,
}

impl Control {
    /// A device begins to wait.
    pub(super) async fn await_person(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        address: &str,
    ) -> Result<Waiting, OAuthError> {
        let form = Form::parse(body)?;
        if body.len() > BYTES_MAX {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, "the request is larger than 24 KiB"));
        }
        if !self.inner().tries.admit_address(&format!("device {address}"), self.now()) {
            return Err(OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "too many devices; try again shortly",
            ));
        }
        let asking = self.asking_at(DEVICE_PATH, headers, &form).await?;
        let Client::App(app) = asking.client() else {
            let why = "agents and workloads ask for themselves, without a person";
            return Err(OAuthError::new(ErrorCode::UnauthorizedClient, why));
        };
        let request = as_request(body);
        let read = Form::parse(request.as_bytes())?;
        self.asked(&read, app)?;
        let device_code = new_secret("writdevice_", asking.ctx.dice.as_ref());
        let user_code = user_code(asking.ctx.dice.bytes());
        let fault = |fault: Fault| said(fault.into());
        let (mut tx, ()) = self.begin(&self.system("devices"), |_| Ok(())).await.map_err(said)?;
        let sql = "insert into device_code (digest, user_code, state, polled, expires, delegation, doc)
                   values ($1, $2, 'waiting', 0, $3, null, $4)";
        let args = [
            sha256(device_code.expose().as_bytes()).into(),
            (&user_code).into(),
            asking.ctx.now.plus_seconds(DEVICE_SECONDS).into(),
            request.into(),
        ];
        tx.exec(sql, &args).await.map_err(fault)?;
        // It gives no authority: a person has to agree to it.
        tx.commit_unrecorded(Unrecorded::Ceremony).await.map_err(fault)?;
        Ok(Waiting { device_code, user_code })
    }

    /// The device that waits with this code, if there is one.
    pub(super) async fn awaited(&self, code: &str, now: Timestamp) -> Result<Option<Awaited>, Error> {
        let code = plain(code);
        if code.len() != 8 {
            return Ok(None);
        }
        let _place = self.inner().readers.admit(Reader::Stranger).await?;
        let sql =
            "select digest, doc from device_code where user_code = $1 and state = 'waiting' and expires > $2";
        let row = self.store().read().await?.row(sql, &[(&code).into(), now.into()]).await?;
        row.map(|row| Ok(Awaited { digest: row.array(0)?, body: row.text(1)? })).transpose()
    }

    /// The person said no.
    pub(super) async fn refuse_device(
        &self,
        by: &impl crate::authority::Authority,
        digest: &[u8; 32],
    ) -> Result<(), Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let sql = "update device_code set state = 'refused' where digest = $1 and state = 'waiting'";
        tx.exec(sql, &[digest.into()]).await?;
        Ok(tx.commit_unrecorded(Unrecorded::Ceremony).await?)
    }

    /// A device asks whether its person has decided (section 3.4).
    pub(super) async fn poll_device(
        &self,
        asking: &Asking,
        app: &std::sync::Arc<KnownClient>,
        code: &Secret,
    ) -> Result<TokenResponse, OAuthError> {
        let fault = |fault: Fault| said(fault.into());
        let refuse = |code, why: &str| Err(OAuthError::new(code, why));
        let digest = sha256(code.expose().as_bytes());
        let now = asking.ctx.now;
        let row = {
            let place = self.inner().readers.admit(Reader::Owner).await;
            let _place = place.map_err(|crowded| said(crowded.into()))?;
            let sql = "select state, polled, expires, delegation, doc from device_code where digest = $1";
            self.store().read().await.map_err(fault)?.row(sql, &[(&digest).into()]).await.map_err(fault)?
        };
        let Some(row) = row else { return refuse(ErrorCode::InvalidGrant, "the device code is unknown") };
        let (state, polled, expires) =
            (row.text(0).map_err(fault)?, row.time(1).map_err(fault)?, row.time(2).map_err(fault)?);
        let form = Form::parse(row.text(4).map_err(fault)?.as_bytes())?;
        if form.get("client_id") != Some(&app.client_id) {
            return refuse(ErrorCode::InvalidGrant, "the device code is another client's");
        }
        match state.as_str() {
            "agreed" => {
                let delegation = row.opt_parsed(3).map_err(fault)?;
                let delegation = delegation
                    .ok_or_else(|| fault(Fault::new("reading a device", "it has no delegation")))?;
                self.redeem_device(asking, app, &digest, &delegation).await
            }
            "refused" => refuse(ErrorCode::AccessDenied, "the person said no"),
            "spent" => refuse(ErrorCode::InvalidGrant, "the device code was used already"),
            _ if expires <= now => {
                refuse(ErrorCode::ExpiredToken, "the device code's time is over; begin again")
            }
            _ if now < polled.plus_seconds(POLL_SECONDS) => {
                refuse(ErrorCode::SlowDown, "ask every 5 seconds, and 5 seconds less often from now on")
            }
            _ => {
                let (mut tx, ()) = self.begin(&self.system("devices"), |_| Ok(())).await.map_err(said)?;
                let sql = "update device_code set polled = $2 where digest = $1";
                tx.exec(sql, &[(&digest).into(), now.into()]).await.map_err(fault)?;
                tx.commit_unrecorded(Unrecorded::Observed).await.map_err(fault)?;
                refuse(ErrorCode::AuthorizationPending, "the person has not decided yet")
            }
        }
    }
}

/// A device's request in the words of one that comes through a browser, so that one function reads both.
fn as_request(body: &[u8]) -> String {
    const OURS: [&str; 8] = [
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "redirect_uri",
        "response_type",
        "code_challenge",
        "code_challenge_method",
        "prompt",
    ];
    let pairs = url::form_urlencoded::parse(body).filter(|(name, _)| !OURS.contains(&name.as_ref()));
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .append_pair("redirect_uri", REDIRECT)
        .append_pair("response_type", "code")
        // Nobody redeems a code of this request: there is none.
        .append_pair("code_challenge", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        .append_pair("code_challenge_method", "S256")
        .finish()
}

fn user_code(chance: [u8; 8]) -> String {
    chance.iter().map(|&byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).collect()
}

/// A code as people type it, without what they put between its letters.
pub(super) fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_uppercase()).collect()
}

/// A code as it is shown: in two halves.
pub(super) fn shown(code: &str) -> String {
    match code.split_at_checked(4) {
        Some((one, other)) if !other.is_empty() => format!("{one}-{other}"),
        Some(_) | None => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{plain, shown, user_code};

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = user_code([0, 19, 20, 255, 7, 8, 9, 10]);
        assert_eq!(code.len(), 8);
        assert_eq!(plain(&shown(&code).to_lowercase()), code);
        assert_eq!(shown("BCDFGHJK"), "BCDF-GHJK");
    }
}
