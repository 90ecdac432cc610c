//! Passkeys: the two ceremonies of Web Authentication Level 3, as texts in and values out.
//!
//! A library verifies; this crate says which ceremonies there are here: discoverable credentials, user verification always
//! required, no attestation. It keeps nothing: what a ceremony needs between its two halves comes out as a text that the
//! caller seals, and must hand back once.

#![warn(missing_docs)]

use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Webauthn, WebauthnBuilder,
};

/// The largest answer of a browser, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why a ceremony failed.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyRefusal {
    /// The answer is not one.
    #[error("the browser's answer cannot be read")]
    Unreadable,
    /// The answer does not prove what it should.
    #[error("the passkey proves nothing: {0}")]
    Unproven(String),
    /// What was kept of the ceremony or of the passkey cannot be read.
    #[error("what was kept of the ceremony cannot be read")]
    State,
}

/// The relying party: one per public address.
#[derive(Debug)]
pub struct RelyingParty {
    webauthn: Webauthn,
}

/// The first half of a ceremony.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What the browser is told (`publicKey` options), as JSON.
    pub options: String,
    /// What the second half needs. It must not be readable or changeable for the client.
    pub state: String,
}

/// A passkey as it is kept: an opaque document.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredPasskey(Passkey);

impl std::fmt::Debug for StoredPasskey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[passkey]")
    }
}

impl StoredPasskey {
    /// The credential's id, by which it is found again.
    pub fn handle(&self) -> &[u8] {
        self.0.cred_id().as_ref()
    }

    /// Whether it is on several devices, as it last said (the flag BS of section 6.1).
    pub fn is_synced(&self) -> bool {
        // The library keeps both flags and shows neither: they are read from its document.
        let document = serde_json::to_value(&self.0).unwrap_or_default();
        document["cred"]["backup_state"] == true
    }
}

/// Who an answer claims to come from, before anything of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The person's handle.
    pub person: [u8; 16],
    /// The credential's id.
    pub handle: Vec<u8>,
}

/// A proof by a passkey.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The passkey as it is to be kept from now on, where it changed: its counter, its backup flags.
    pub changed: Option<StoredPasskey>,
}

impl RelyingParty {
    /// The relying party at this address, if it can be one: passkeys belong to names, not to numeric addresses
    /// (section 5.4.2).
    pub fn at(public_url: &Url) -> Option<Self> {
        let host = public_url.domain()?;
        let webauthn = WebauthnBuilder::new(host, public_url).ok()?.rp_name("Writ").build().ok()?;
        Some(Self { webauthn })
    }

    /// Begins the making of a passkey for a person. `known` are the ids of those they have: a device makes no second one.
    pub fn begin_registration(
        &self,
        person: [u8; 16],
        name: &str,
        display_name: &str,
        known: Vec<Vec<u8>>,
    ) -> Result<Begun, PasskeyRefusal> {
        let begun = self.webauthn.start_passkey_registration(
            Uuid::from_bytes(person),
            name,
            display_name,
            Some(known),
        );
        let (options, state) = begun.map_err(|error| PasskeyRefusal::Unproven(error.to_string()))?;
        let mut options = serde_json::to_value(options).map_err(|_| PasskeyRefusal::State)?;
        // A passkey that the device does not keep cannot be found without a name, so it would never be offered.
        let selection = &mut options["publicKey"]["authenticatorSelection"];
        selection["residentKey"] = "required".into();
        selection["requireResidentKey"] = true.into();
        Ok(Begun { options: options.to_string(), state: written(&state)? })
    }

    /// Ends the making of a passkey with the browser's answer.
    pub fn finish_registration(&self, answer: &str, state: &str) -> Result<StoredPasskey, PasskeyRefusal> {
        let answer: RegisterPublicKeyCredential = read(answer)?;
        let state: PasskeyRegistration = serde_json::from_str(state).map_err(|_| PasskeyRefusal::State)?;
        let made = self.webauthn.finish_passkey_registration(&answer, &state);
        made.map(StoredPasskey).map_err(|error| PasskeyRefusal::Unproven(error.to_string()))
    }

    /// Begins a proof by whatever passkey the person chooses.
    pub fn begin_proof(&self) -> Result<Begun, PasskeyRefusal> {
        let begun = self.webauthn.start_discoverable_authentication();
        let (options, state) = begun.map_err(|error| PasskeyRefusal::Unproven(error.to_string()))?;
        Ok(Begun { options: written(&options)?, state: written(&state)? })
    }

    /// Whose passkey an answer claims to be of.
    pub fn claimed(&self, answer: &str) -> Result<Claimed, PasskeyRefusal> {
        let answer: PublicKeyCredential = read(answer)?;
        let claimed = self.webauthn.identify_discoverable_authentication(&answer);
        let (person, handle) = claimed.map_err(|error| PasskeyRefusal::Unproven(error.to_string()))?;
        Ok(Claimed { person: person.into_bytes(), handle: handle.to_vec() })
    }

    /// Ends a proof with the browser's answer and the passkey that it claims to be of.
    pub fn finish_proof(
        &self,
        answer: &str,
        state: &str,
        kept: &StoredPasskey,
    ) -> Result<Proved, PasskeyRefusal> {
        let answer: PublicKeyCredential = read(answer)?;
        let state: DiscoverableAuthentication =
            serde_json::from_str(state).map_err(|_| PasskeyRefusal::State)?;
        let proof = self.webauthn.finish_discoverable_authentication_v2(&answer, state, &kept.0);
        let proof = proof.map_err(|error| PasskeyRefusal::Unproven(error.to_string()))?;
        if !proof.user_verified() {
            return Err(PasskeyRefusal::Unproven("the device did not verify who holds it".into()));
        }
        let mut after = kept.clone();
        let is_other = after.0.update_credential(&proof).unwrap_or_default();
        Ok(Proved { changed: is_other.then_some(after) })
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, PasskeyRefusal> {
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(PasskeyRefusal::Unreadable);
    }
    serde_json::from_str(answer).map_err(|_| PasskeyRefusal::Unreadable)
}

fn written(value: &impl Serialize) -> Result<String, PasskeyRefusal> {
    serde_json::to_string(value).map_err(|_| PasskeyRefusal::State)
}

#[cfg(test)]
mod tests {
    use super::{PasskeyRefusal, RelyingParty};

    fn party(url: &str) -> Option<RelyingParty> {
        RelyingParty::at(&url.parse().unwrap())
    }

    #[test]
    fn numeric_addresses_have_no_passkeys() {
        assert!(party("https://writ.example").is_some() && party("http://localhost:8420").is_some());
        assert!(party("http://127.0.0.1:8420").is_none() && party("http://[::1]:8420").is_none());
    }

    #[test]
    fn a_passkey_is_kept_by_the_device_and_verifies_who_holds_it() {
        let begun = party("https://writ.example").unwrap().begin_registration(
            [7; 16],
            "maya",
            "Maya Lind",
            vec![vec![1, 2]],
        );
        let options = begun.unwrap().options;
        for part in [
            r#""residentKey":"required""#,
            r#""userVerification":"required""#,
            r#""attestation":"none""#,
            r#""excludeCredentials":[{"#,
        ] {
            assert!(options.contains(part), "{part} in {options}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let party = party("https://writ.example").unwrap();
        let begun = party.begin_registration([7; 16], "maya", "Maya Lind", Vec::new()).unwrap();
        for answer in ["", "{}", "[]", "null", &"x".repeat(70_000)] {
            assert!(matches!(
                party.finish_registration(answer, &begun.state),
                Err(PasskeyRefusal::Unreadable)
            ));
            assert!(matches!(party.claimed(answer), Err(PasskeyRefusal::Unreadable)));
        }
    }
}
