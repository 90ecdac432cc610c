//! Making, using and ending what persons prove themselves with.

use base::{AuthenticatorId, Error, Event, EventKind, Fault, PersonId, Secret};
use passkey::StoredPasskey;
use serde_json::json;
use store::Unrecorded;

use super::{
    model::{Authenticator, AuthenticatorKind, AuthenticatorRefusal},
    password::{self, HasherBusy},
    store as rows,
    totp::Seed,
};
use crate::{authority::Authority, control::Control, opaque::sha256, readers::Reader};

/// The most passkeys of a person.
const PASSKEYS_MAX: usize = 20;
/// How many recovery codes are made at once.
const CODES: usize = 10;
/// The longest label, in characters.
const LABEL_CHARACTERS_MAX: usize = 60;

/// The ways in that a person has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    pub(crate) all: Vec<Authenticator>,
    /// How many recovery codes are left.
    pub(crate) codes: usize,
}

impl Ways {
    pub(crate) fn has(&self, kind: AuthenticatorKind) -> bool {
        self.all.iter().any(|one| one.kind == kind)
    }

    /// Whether the person can sign in without a link.
    pub(crate) fn signs_in(&self) -> bool {
        self.all.iter().any(|one| one.kind.signs_in())
    }

    /// Whether this address was shown to be read by them.
    pub(crate) fn reads(&self, address: &str) -> bool {
        self.all
            .iter()
            .any(|one| one.kind == AuthenticatorKind::Email && one.verifier.eq_ignore_ascii_case(address))
    }
}

/// A person as authenticators know them: a number that tells nothing (Web Authentication Level 3, section 14.6.1).
pub(crate) fn handle_of(person: &PersonId) -> [u8; 16] {
    let mut handle = [0; 16];
    handle.copy_from_slice(&sha256(person.as_str().as_bytes())[..16]);
    handle
}

impl Control {
    /// The ways in that a person has.
    pub(crate) async fn ways_of(&self, person: &PersonId) -> Result<Ways, Error> {
        let _place = self.inner().readers.admit(Reader::Owner).await?;
        let mut read = self.store().read().await?;
        let kept = rows::of_person(&mut read, person).await?;
        let codes = usize::try_from(rows::codes_left(&mut read, person).await?).unwrap_or_default();
        Ok(Ways { all: kept.into_iter().map(|kept| kept.authenticator).collect(), codes })
    }

    /// Whether this is the person's password. Without a person, and for one who has none, it takes as long to say no.
    pub(crate) async fn is_password(
        &self,
        person: Option<&PersonId>,
        password: &Secret,
    ) -> Result<Result<bool, HasherBusy>, Error> {
        // SECURITY: a row is read and a document parsed whether there is one or not; only which it was differs.
        let (dice, hasher) = (self.inner().dice.as_ref(), &self.inner().hasher);
        let nobody = Authenticator {
            id: AuthenticatorId::new(base::Timestamp::default(), dice),
            person: PersonId::new(base::Timestamp::default(), dice),
            kind: AuthenticatorKind::Password,
            label: String::new(),
            created: base::Timestamp::default(),
            synced: false,
            verifier: hasher.nobodys().to_owned(),
        };
        let kept = {
            let _place = self.inner().readers.admit(Reader::Owner).await?;
            let person = person.unwrap_or(&nobody.person);
            rows::password_of(&mut *self.store().read().await?, person, &nobody).await?
        };
        let is_theirs = kept.id != nobody.id;
        Ok(hasher.verify(password, kept.verifier).await.map(|is_it| is_it && is_theirs))
    }

    /// Sets the person's password, in place of one that they have.
    pub(crate) async fn set_password(
        &self,
        by: &impl Authority,
        person: &PersonId,
        password: &Secret,
    ) -> Result<Result<(), HasherBusy>, Error> {
        {
            let known = self.snapshot();
            let person = known.people.get(person).ok_or(AuthenticatorRefusal::Missing)?;
            let email = person.body.email.clone().unwrap_or_default();
            let mut about: Vec<&str> = email.split(['@', '.']).filter(|word| !word.is_empty()).collect();
            about.extend([person.name.as_ref(), person.body.display_name.as_str(), "writ"]);
            about.extend(person.body.display_name.split(' '));
            password::admit(password, &about)?;
        }
        let hash = match self.inner().hasher.hash(password, by.ctx().dice.as_ref()).await {
            Ok(hash) => hash?,
            Err(busy) => return Ok(Err(busy)),
        };
        let new = self.new_authenticator(by, person, AuthenticatorKind::Password, "", hash);
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        rows::delete_kind(&mut tx, person, AuthenticatorKind::Password).await?;
        rows::insert(&mut tx, &new, None, None, 0).await?;
        self.keep(tx, vec![added(&new)]).await?;
        Ok(Ok(()))
    }

    /// Adds a generator of codes, once it has shown that it works, in place of one that they have; and recovery codes where
    /// there are none yet, which are shown this once.
    pub(crate) async fn add_totp(
        &self,
        by: &impl Authority,
        person: &PersonId,
        seed: &Seed,
        code: &str,
    ) -> Result<Vec<String>, Error> {
        let step = seed.step_of(code, by.ctx().now, 0).ok_or(AuthenticatorRefusal::Code)?;
        let new = self.new_authenticator(by, person, AuthenticatorKind::Totp, "", String::new());
        let sealed = self.store().seal(new.id.as_str(), seed.as_bytes())?;
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        rows::delete_kind(&mut tx, person, AuthenticatorKind::Totp).await?;
        rows::insert(&mut tx, &new, None, Some(&sealed), step).await?;
        let mut events = vec![added(&new)];
        let codes = self.replace_codes(by, person, &mut tx, &mut events).await?;
        self.keep(tx, events).await?;
        Ok(codes)
    }

    /// Makes new recovery codes; earlier ones are worthless from then on.
    pub(crate) async fn new_recovery_codes(
        &self,
        by: &impl Authority,
        person: &PersonId,
    ) -> Result<Vec<String>, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let mut events = Vec::new();
        let codes = self.replace_codes(by, person, &mut tx, &mut events).await?;
        self.keep(tx, events).await?;
        Ok(codes)
    }

    async fn replace_codes(
        &self,
        by: &impl Authority,
        person: &PersonId,
        tx: &mut store::Tx,
        events: &mut Vec<Event>,
    ) -> Result<Vec<String>, Fault> {
        let codes: Vec<String> = (0..CODES).map(|_| readable(by.ctx().dice.bytes())).collect();
        let digests: Vec<[u8; 32]> = codes.iter().map(|code| code_digest(code)).collect();
        rows::replace_codes(tx, person, &digests).await?;
        let new = self.new_authenticator(by, person, AuthenticatorKind::Codes, "", String::new());
        rows::delete_kind(tx, person, AuthenticatorKind::Codes).await?;
        rows::insert(tx, &new, None, None, 0).await?;
        events.push(added(&new));
        Ok(codes)
    }

    /// Adds a passkey.
    pub(crate) async fn add_passkey(
        &self,
        by: &impl Authority,
        person: &PersonId,
        label: &str,
        passkey: &StoredPasskey,
    ) -> Result<(), Error> {
        let label = admit_label(label)?;
        let document =
            serde_json::to_string(passkey).map_err(|error| Fault::new("writing a passkey", error))?;
        let new = Authenticator {
            synced: passkey.is_synced(),
            ..self.new_authenticator(by, person, AuthenticatorKind::Passkey, &label, document)
        };
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let kept = rows::of_person(&mut tx, person).await?;
        let passkeys =
            kept.iter().filter(|kept| kept.authenticator.kind == AuthenticatorKind::Passkey).count();
        if passkeys >= PASSKEYS_MAX {
            return Err(AuthenticatorRefusal::TooMany.into());
        }
        if !rows::insert(&mut tx, &new, Some(passkey.handle()), None, 0).await? {
            return Err(AuthenticatorRefusal::Passkey.into());
        }
        self.keep(tx, vec![added(&new)]).await?;
        Ok(())
    }

    /// Calls one of a person's authenticators something else.
    pub(crate) async fn rename_authenticator(
        &self,
        by: &impl Authority,
        person: &PersonId,
        id: &AuthenticatorId,
        label: &str,
    ) -> Result<(), Error> {
        let label = admit_label(label)?;
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let kept = rows::of_person(&mut tx, person).await?;
        let found = kept.into_iter().map(|kept| kept.authenticator).find(|one| one.id == *id);
        let mut found = found.ok_or(AuthenticatorRefusal::Missing)?;
        found.label = label;
        rows::update(&mut tx, &found).await?;
        let facts = json!({ "person": person, "what": "renamed" });
        self.keep(tx, vec![Event::new(EventKind::AuthenticatorUsed, id, facts)]).await?;
        Ok(())
    }

    /// Ends one of a person's authenticators, but not the last by which they sign in. Recovery codes end with the generator
    /// that they stand in for.
    pub(crate) async fn remove_authenticator(
        &self,
        by: &impl Authority,
        person: &PersonId,
        id: &AuthenticatorId,
    ) -> Result<(), Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let kept = rows::of_person(&mut tx, person).await?;
        let found = kept.iter().map(|kept| &kept.authenticator).find(|one| one.id == *id);
        let kind = found.ok_or(AuthenticatorRefusal::Missing)?.kind;
        let left = kept.iter().map(|kept| &kept.authenticator).filter(|one| one.id != *id);
        if kind.signs_in() && !left.into_iter().any(|one| one.kind.signs_in()) {
            return Err(AuthenticatorRefusal::Last.into());
        }
        rows::delete(&mut tx, person, id).await?;
        if matches!(kind, AuthenticatorKind::Totp | AuthenticatorKind::Codes) {
            rows::replace_codes(&mut tx, person, &[]).await?;
            rows::delete_kind(&mut tx, person, AuthenticatorKind::Codes).await?;
        }
        let facts = json!({ "person": person, "kind": kind });
        self.keep(tx, vec![Event::new(EventKind::AuthenticatorRemoved, id, facts)]).await?;
        Ok(())
    }

    /// Spends a code of the person's generator.
    pub(crate) async fn spend_totp(
        &self,
        by: &impl Authority,
        person: &PersonId,
        code: &str,
    ) -> Result<bool, Error> {
        let kept = {
            let _place = self.inner().readers.admit(Reader::Owner).await?;
            rows::of_person(&mut *self.store().read().await?, person).await?
        };
        let Some(kept) = kept.into_iter().find(|kept| kept.authenticator.kind == AuthenticatorKind::Totp)
        else {
            return Ok(false);
        };
        let id = &kept.authenticator.id;
        let sealed = kept.sealed.ok_or_else(|| Fault::new("reading a seed", "there is none"))?;
        let seed = Seed::from_bytes(&self.store().open_sealed(id.as_str(), &sealed)?);
        let seed = seed.ok_or_else(|| Fault::new("reading a seed", "it has another length"))?;
        let Some(step) = seed.step_of(code, by.ctx().now, kept.used) else { return Ok(false) };
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        if !rows::use_step(&mut tx, id, step).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        let facts = json!({ "person": person, "what": "code" });
        self.keep(tx, vec![Event::new(EventKind::AuthenticatorUsed, id, facts)]).await?;
        Ok(true)
    }

    /// Spends a recovery code.
    pub(crate) async fn spend_recovery_code(
        &self,
        by: &impl Authority,
        person: &PersonId,
        code: &str,
    ) -> Result<bool, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        if !rows::spend_code(&mut tx, person, &code_digest(code)).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        let facts = json!({ "what": "recovery_code" });
        self.keep(tx, vec![Event::new(EventKind::AuthenticatorUsed, person, facts)]).await?;
        Ok(true)
    }

    /// The passkey with this credential id, and what it verifies with.
    pub(crate) async fn passkey_of(
        &self,
        handle: &[u8],
    ) -> Result<Option<(Authenticator, StoredPasskey)>, Error> {
        let _place = self.inner().readers.admit(Reader::Owner).await?;
        let Some(kept) = rows::by_handle(&mut *self.store().read().await?, handle).await? else {
            return Ok(None);
        };
        let stored = serde_json::from_str(&kept.authenticator.verifier);
        let stored = stored.map_err(|error| Fault::new("reading a passkey", error))?;
        Ok(Some((kept.authenticator, stored)))
    }

    /// Keeps what a passkey said of itself when it was used: its counter, whether it is synced.
    pub(crate) async fn passkey_changed(
        &self,
        by: &impl Authority,
        before: Authenticator,
        after: &StoredPasskey,
    ) -> Result<(), Error> {
        let verifier =
            serde_json::to_string(after).map_err(|error| Fault::new("writing a passkey", error))?;
        let after = Authenticator { verifier, synced: after.is_synced(), ..before };
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        rows::update(&mut tx, &after).await?;
        Ok(tx.commit_unrecorded(Unrecorded::Observed).await?)
    }

    fn new_authenticator(
        &self,
        by: &impl Authority,
        person: &PersonId,
        kind: AuthenticatorKind,
        label: &str,
        verifier: String,
    ) -> Authenticator {
        let ctx = by.ctx();
        Authenticator {
            id: AuthenticatorId::new(ctx.now, ctx.dice.as_ref()),
            person: person.clone(),
            kind,
            label: label.to_owned(),
            created: self.now(),
            synced: false,
            verifier,
        }
    }
}

fn added(new: &Authenticator) -> Event {
    let facts = json!({ "person": new.person, "kind": new.kind });
    Event::new(EventKind::AuthenticatorAdded, &new.id, facts)
}

fn admit_label(label: &str) -> Result<String, AuthenticatorRefusal> {
    let label = label.trim();
    let fits = !label.is_empty()
        && label.chars().count() <= LABEL_CHARACTERS_MAX
        && !label.chars().any(char::is_control);
    fits.then(|| label.to_owned()).ok_or(AuthenticatorRefusal::Label)
}

/// 80 bits as people type them: groups of letters and digits that are not taken for one another.
fn readable(chance: [u8; 10]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut text = String::new();
    let bits = chance.iter().fold(0_u128, |bits, &byte| (bits << 8) | u128::from(byte));
    for at in 0..16 {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        let digit = usize::try_from((bits >> (at * 5)) & 31).unwrap_or_default();
        text.push(char::from(ALPHABET[digit]));
    }
    text
}

/// A recovery code's digest, however it was typed.
fn code_digest(code: &str) -> [u8; 32] {
    let plain: String =
        code.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).collect();
    sha256(plain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{code_digest, readable};

    #[test]
    fn a_recovery_code_is_read_however_it_is_typed() {
        let code = readable([0x5a; 10]);
        assert_eq!(code.len(), 19);
        assert_eq!(code_digest(&code), code_digest(&code.to_uppercase().replace('-', " ")));
        assert_ne!(code_digest(&code), code_digest(&readable([0x5b; 10])));
    }
}
