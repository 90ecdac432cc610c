//! The signing keys at hand: what tokens are signed with and what they are verified with.

use std::sync::Arc;

use base::{Fault, KeyId};
use rpds::HashTrieMapSync;
use wire::{
    jose::{Algorithm, Jwks, PublicJwk, SigningKey},
    json::Json,
};

use super::model::{KeyState, VerifyingKey};
use crate::row::parsed;

/// The keys of one snapshot: parsed once, used for every token.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    public: Jwks,
    /// The newest key of each algorithm, in order of preference.
    signers: Vec<Arc<SigningKey>>,
}

impl Ring {
    /// The keys that verify: those that sign, and those that signed what may still be alive.
    pub const fn public(&self) -> &Jwks {
        &self.public
    }

    /// The key that signs with this algorithm; absent only before the first start has made it.
    pub fn signer(&self, algorithm: Algorithm) -> Option<&Arc<SigningKey>> {
        self.signers.iter().find(|key| key.algorithm() == algorithm)
    }

    /// The ring of these keys. A private half whose public half does not sign is left out.
    pub(super) fn of(
        keys: &HashTrieMapSync<KeyId, Arc<VerifyingKey>>,
        private: &HashTrieMapSync<KeyId, Arc<SigningKey>>,
    ) -> Result<Self, Fault> {
        let mut known: Vec<&Arc<VerifyingKey>> =
            keys.values().filter(|key| key.state != KeyState::Revoked).collect();
        // Ids sort by creation: the newest first.
        known.sort_unstable_by(|one, other| other.id.cmp(&one.id));
        let public = known.iter().map(|key| public_half(key)).collect::<Result<Vec<_>, _>>()?;
        let newest = |algorithm: &Algorithm| {
            let mut fitting = known.iter().filter(|key| key.state == KeyState::Signing);
            fitting
                .find_map(|key| private.get(&key.id).filter(|pair| pair.algorithm() == *algorithm))
                .cloned()
        };
        let signers = Algorithm::ALL.iter().filter_map(newest).collect();
        Ok(Self { public: Jwks::new(public), signers })
    }
}

fn public_half(key: &VerifyingKey) -> Result<Arc<PublicJwk>, Fault> {
    let jwk = parsed(Json::parse(key.jwk.as_bytes()))?;
    Ok(Arc::new(parsed(PublicJwk::parse(&jwk))?))
}
