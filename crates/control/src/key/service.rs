//! Making, rotating and ending signing keys.

use ::store::Sealed;
use base::{Class, Ctx, Error, Event, EventKind, Fault, KeyId, Refuse};
use serde_json::json;
use wire::jose::{Algorithm, SigningKey};

use super::{
    model::{KeyState, VerifyingKey},
    store,
};
use crate::{
    authority::{Authority, System},
    control::Control,
};

/// How long a key verifies after it stopped signing, in seconds: more than the longest life of what it signed.
pub const VERIFY_SECONDS: i64 = 2 * base::limit::ACCESS_TOKEN_SECONDS_MAX;

/// What a change of keys is refused for.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefusal {
    /// There is no such algorithm.
    #[error("`algorithm`: `{0}` is none of ES256, RS256 and EdDSA")]
    Algorithm(String),
    /// There is no such key, or it ended before.
    #[error("there is no living key `{0}`")]
    Missing(KeyId),
    /// It is the one that signs.
    #[error("key `{0}` signs")]
    Signs(KeyId),
}

impl Refuse for KeyRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Algorithm(_) => Class::Invalid,
            Self::Missing(_) => Class::Missing,
            Self::Signs(_) => Class::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Algorithm(_) => "bad_algorithm",
            Self::Missing(_) => "not_found",
            Self::Signs(_) => "key_signs",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Signs(_) => Some("rotate first; then revoke it".into()),
            Self::Algorithm(_) | Self::Missing(_) => None,
        }
    }
}

/// A key pair on its way into the database.
struct Fresh {
    key: VerifyingKey,
    sealed: Sealed,
}

impl Control {
    /// Makes the keys that are not there yet, one of each algorithm. Run at each start, on each node: whoever comes
    /// first makes them.
    pub async fn ensure_keys(&self, by: &System) -> Result<(), Error> {
        let ring = self.snapshot().ring.clone();
        let missing: Vec<Algorithm> =
            Algorithm::ALL.iter().copied().filter(|&algorithm| ring.signer(algorithm).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut fresh = Vec::new();
        for algorithm in missing {
            fresh.push(self.fresh_key(by.ctx(), algorithm).await?);
        }
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let present = store::in_state(&mut tx, KeyState::Signing).await?;
        let mut events = Vec::new();
        for Fresh { key, sealed } in fresh {
            // Another node may have been here since the snapshot.
            if present.iter().all(|known| known.algorithm != key.algorithm) {
                store::insert(&mut tx, &key, &sealed).await?;
                events.push(created(&key));
            }
        }
        if events.is_empty() {
            tx.rollback().await?;
            return Ok(());
        }
        self.keep(tx, events).await.map(drop)
    }

    /// Makes a new key of this algorithm, which signs from here on. The one before it verifies until everything that
    /// it signed has expired; its private half is destroyed at once.
    pub async fn rotate_key(&self, by: &impl Authority, algorithm: Algorithm) -> Result<KeyId, Error> {
        let Fresh { key, sealed } = self.fresh_key(by.ctx(), algorithm).await?;
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let mut events = Vec::new();
        for before in store::in_state(&mut tx, KeyState::Signing).await? {
            if before.algorithm == key.algorithm {
                let facts = json!({ "kid": before.kid, "algorithm": before.algorithm });
                let id = store::retire(&mut tx, before, KeyState::Verifying, by.ctx().now).await?;
                events.push(Event::new(EventKind::KeyRotated, &id, facts));
            }
        }
        store::insert(&mut tx, &key, &sealed).await?;
        events.push(created(&key));
        self.keep(tx, events).await?;
        Ok(key.id)
    }

    /// Ends a key that no longer signs: nothing that it signed is valid any more.
    pub async fn revoke_key(&self, by: &impl Authority, id: &KeyId) -> Result<(), Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        if store::in_state(&mut tx, KeyState::Signing).await?.iter().any(|key| &key.id == id) {
            return Err(KeyRefusal::Signs(id.clone()).into());
        }
        let found =
            store::in_state(&mut tx, KeyState::Verifying).await?.into_iter().find(|key| &key.id == id);
        let key = found.ok_or_else(|| KeyRefusal::Missing(id.clone()))?;
        let facts = json!({ "kid": key.kid, "reason": "revoked" });
        let id = store::retire(&mut tx, key, KeyState::Revoked, by.ctx().now).await?;
        self.keep(tx, vec![Event::new(EventKind::KeyRevoked, &id, facts)]).await.map(drop)
    }

    /// Ends keys whose last token has expired; run from time to time. Answers with how many.
    pub async fn retire_keys(&self, by: &System) -> Result<usize, Error> {
        let over = |key: &VerifyingKey| {
            let until = key.signed_until.map(|until| until.plus_seconds(VERIFY_SECONDS));
            key.state == KeyState::Verifying && until.is_some_and(|until| until <= by.ctx().now)
        };
        if !self.snapshot().keys.values().any(|key| over(key)) {
            return Ok(0);
        }
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let mut events = Vec::new();
        for key in store::in_state(&mut tx, KeyState::Verifying).await?.into_iter().filter(|key| over(key)) {
            let facts = json!({ "kid": key.kid, "reason": "expired" });
            let id = store::retire(&mut tx, key, KeyState::Revoked, by.ctx().now).await?;
            events.push(Event::new(EventKind::KeyRevoked, &id, facts));
        }
        let count = events.len();
        if count == 0 {
            tx.rollback().await?;
        } else {
            self.keep(tx, events).await?;
        }
        Ok(count)
    }

    /// A new key, sealed under its own id.
    async fn fresh_key(&self, ctx: &Ctx, algorithm: Algorithm) -> Result<Fresh, Fault> {
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
        let pair = made.map_err(|error| Fault::new("generating a signing key", error))??;
        let id = KeyId::new(ctx.now, ctx.dice.as_ref());
        let sealed = self.store().seal(id.as_str(), &pair.to_pkcs8()?)?;
        let key = VerifyingKey {
            id,
            kid: pair.kid().to_owned(),
            algorithm: algorithm.as_str().to_owned(),
            jwk: pair.public().to_json().to_text(),
            state: KeyState::Signing,
            created: ctx.now,
            signed_until: None,
        };
        Ok(Fresh { key, sealed })
    }
}

fn created(key: &VerifyingKey) -> Event {
    Event::new(EventKind::KeyCreated, &key.id, json!({ "kid": key.kid, "algorithm": key.algorithm }))
}
