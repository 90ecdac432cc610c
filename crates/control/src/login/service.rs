//! From what a person shows to a proof of who they are.

use base::{Error, Event, EventKind, PersonId, Secret, Timestamp};
use passkey::Begun;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Entry, Origin, ProofUse, Submitted};

use super::visit::Visit;
use crate::{
    authenticator::{AuthenticatorKind, handle_of},
    control::Control,
    opaque::sha256,
    principal::{Level, PersonState, Proof},
    session::{InSession, Session, SessionSecret, Visitor, Which},
    snapshot::Snapshot,
};

/// How long a first factor waits for the second, and a passkey's ceremony for its answer, in seconds.
const WAIT_SECONDS: i64 = 300;
const FIRST_FACTOR: &[u8] = b"first factor";
const CEREMONY: &[u8] = b"passkey";

/// What came of showing something.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Who it is.
    Proved(Proof),
    /// The first of two factors is right.
    Half {
        /// What the second comes with.
        ticket: String,
        /// Whether there are recovery codes.
        has_codes: bool,
    },
    /// It proves nothing.
    Wrong,
    /// Too many tries.
    Slow,
    /// Too many people.
    Busy,
}

/// A first factor that was right.
#[derive(Serialize, Deserialize)]
struct FirstFactor {
    person: PersonId,
    at: Timestamp,
}

/// A ceremony under way.
#[derive(Serialize, Deserialize)]
struct Waiting {
    state: String,
    at: Timestamp,
    /// Once only: its digest is used up with the answer.
    nonce: String,
    /// Whose new passkey it is about.
    person: Option<PersonId>,
}

impl Control {
    /// A name and a password.
    pub(crate) async fn show_password(
        &self,
        visitor: &Visitor,
        name: &str,
        password: &Secret,
    ) -> Result<Shown, Error> {
        let now = self.now();
        let tries = &self.inner().tries;
        if !tries.admit_address(&visitor.address, now) || !tries.admit_name("password", name, now) {
            return Ok(Shown::Slow);
        }
        let person = self.snapshot().person_called(name);
        let Ok(right) = self.is_password(person.as_ref(), password).await? else { return Ok(Shown::Busy) };
        // Asked of nobody, too, so that it takes as long.
        let lives = person.as_ref().is_some_and(|person| self.snapshot().person_lives(person).is_ok());
        let Some(person) = person.filter(|_| right && lives) else {
            self.record_wrong(name, "password").await;
            return Ok(Shown::Wrong);
        };
        let ways = self.ways_of(&person).await?;
        if !ways.has(AuthenticatorKind::Totp) {
            return Ok(Shown::Proved(Proof::new(person, Level::Single, &["pwd"])));
        }
        let first = serde_json::to_vec(&FirstFactor { person, at: now });
        let first = first.map_err(|error| base::Fault::new("writing a ticket", error))?;
        let ticket = self.store().seal_keepsake(&first, FIRST_FACTOR)?;
        Ok(Shown::Half { ticket, has_codes: ways.codes > 0 })
    }

    /// A code of a generator, or a recovery code, after a password.
    pub(crate) async fn show_code(
        &self,
        visitor: &Visitor,
        ticket: &str,
        code: &str,
    ) -> Result<Shown, Error> {
        let now = self.now();
        let first = self.store().open_keepsake(ticket, FIRST_FACTOR);
        let first = first.and_then(|first| serde_json::from_slice::<FirstFactor>(&first).ok());
        let fresh = |first: &FirstFactor| first.at <= now && now < first.at.plus_seconds(WAIT_SECONDS);
        let Some(FirstFactor { person, .. }) = first.filter(fresh) else { return Ok(Shown::Wrong) };
        let tries = &self.inner().tries;
        if !tries.admit_address(&visitor.address, now) || !tries.admit_name("code", person.as_str(), now) {
            return Ok(Shown::Slow);
        }
        let by = self.arriving(&person);
        let code = code.trim();
        let digits: String = code.chars().filter(|character| !character.is_whitespace()).collect();
        let is_totp = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let right = if is_totp {
            self.spend_totp(&by, &person, &digits).await?
        } else {
            self.spend_recovery_code(&by, &person, code).await?
        };
        if !right {
            self.record_wrong(person.as_str(), "code").await;
            return Ok(Shown::Wrong);
        }
        Ok(Shown::Proved(Proof::new(person, Level::Double, &["pwd", "otp", "mfa"])))
    }

    /// Begins a passkey's ceremony: to prove somebody, or to make a new one for a person.
    pub(crate) async fn begin_ceremony(
        &self,
        new_for: Option<&PersonId>,
    ) -> Result<Option<(String, String)>, Error> {
        let Some(party) = &self.inner().passkeys else { return Ok(None) };
        let Begun { options, state } = match new_for {
            None => party.begin_proof().map_err(unexpected)?,
            Some(person) => {
                let ways = self.ways_of(person).await?;
                let known = ways.all.iter().filter(|one| one.kind == AuthenticatorKind::Passkey);
                let handles = known
                    .filter_map(|one| serde_json::from_str::<passkey::StoredPasskey>(&one.verifier).ok());
                let handles = handles.map(|passkey| passkey.handle().to_vec()).collect();
                let (name, display) = {
                    let known = self.snapshot();
                    let person = known.people.get(person);
                    person.map_or_else(Default::default, |person| {
                        (person.name.to_string(), person.body.display_name.clone())
                    })
                };
                party.begin_registration(handle_of(person), &name, &display, handles).map_err(unexpected)?
            }
        };
        let nonce = hex::encode(self.inner().dice.bytes::<16>());
        let waiting = Waiting { state, at: self.now(), nonce, person: new_for.cloned() };
        let plain =
            serde_json::to_vec(&waiting).map_err(|error| base::Fault::new("writing a ceremony", error))?;
        Ok(Some((options, self.store().seal_keepsake(&plain, CEREMONY)?)))
    }

    /// A passkey's answer.
    pub(crate) async fn show_passkey(
        &self,
        visitor: &Visitor,
        sealed: &str,
        answer: &str,
    ) -> Result<Shown, Error> {
        if !self.inner().tries.admit_address(&visitor.address, self.now()) {
            return Ok(Shown::Slow);
        }
        let (Some(party), Some(state)) = (&self.inner().passkeys, self.end_ceremony(sealed, None).await?)
        else {
            return Ok(Shown::Wrong);
        };
        let Ok(claimed) = party.claimed(answer) else { return Ok(Shown::Wrong) };
        let found = self.passkey_of(&claimed.handle).await?;
        let Some((kept, stored)) = found.filter(|(kept, _)| handle_of(&kept.person) == claimed.person) else {
            self.record_wrong("", "passkey").await;
            return Ok(Shown::Wrong);
        };
        let person = kept.person.clone();
        let proved = party.finish_proof(answer, &state, &stored);
        let (Ok(proved), Ok(())) = (proved, self.snapshot().person_lives(&person)) else {
            self.record_wrong(person.as_str(), "passkey").await;
            return Ok(Shown::Wrong);
        };
        if let Some(changed) = &proved.changed {
            self.passkey_changed(&self.arriving(&person), kept, changed).await?;
        }
        Ok(Shown::Proved(Proof::new(person, Level::PhishingResistant, &["pop", "user", "mfa"])))
    }

    /// Ends the making of a passkey.
    pub(crate) async fn show_new_passkey(
        &self,
        by: &InSession,
        label: &str,
        sealed: &str,
        answer: &str,
    ) -> Result<bool, Error> {
        let state = self.end_ceremony(sealed, Some(by.person())).await?;
        let (Some(party), Some(state)) = (&self.inner().passkeys, state) else { return Ok(false) };
        let Ok(made) = party.finish_registration(answer, &state) else { return Ok(false) };
        self.add_passkey(by, by.person(), label, &made).await?;
        Ok(true)
    }

    /// What a ceremony needs for its end, if it is ours, for this person, not too old and not ended before.
    async fn end_ceremony(&self, sealed: &str, person: Option<&PersonId>) -> Result<Option<String>, Error> {
        let now = self.now();
        let Some(plain) = self.store().open_keepsake(sealed, CEREMONY) else { return Ok(None) };
        let Ok(waiting) = serde_json::from_slice::<Waiting>(&plain) else { return Ok(None) };
        let until = waiting.at.plus_seconds(WAIT_SECONDS);
        if waiting.person.as_ref() != person || waiting.at > now || until <= now {
            return Ok(None);
        }
        // INVARIANT: a challenge is answered once, on whatever node.
        let used =
            ProofUse { digest: sha256(format!("ceremony {}", waiting.nonce).as_bytes()), expires: until };
        match self.store().submit(Entry::Proof(used)).await? {
            Submitted::Noted => Ok(Some(waiting.state)),
            Submitted::Replayed => Ok(None),
            other => {
                Err(base::Fault::new("using up a challenge", format!("the log answered {other:?}")).into())
            }
        }
    }

    /// A session for whoever proved themself: their present one, raised and with another secret, or a new one in place of
    /// what the browser had.
    pub(crate) async fn sign_in(
        &self,
        proof: &Proof,
        present: Option<&InSession>,
        visitor: &Visitor,
    ) -> Result<(SessionSecret, std::sync::Arc<Session>), Error> {
        metrics::counter!("writ_sign_ins_total", "acr" => proof.level.acr()).increment(1);
        match present {
            Some(session) if *session.person() == proof.person => {
                // A link adds nothing to what a session knows already.
                let proof =
                    if proof.level < session.session.proof.level { &session.session.proof } else { proof };
                self.raise_session(session, proof).await
            }
            Some(session) => {
                self.end_sessions(session, session.person(), Which::One(&session.session.id), "replaced")
                    .await?;
                self.start_session(proof, visitor).await
            }
            None => self.start_session(proof, visitor).await,
        }
    }

    /// Whoever came by a link and made a way in holds it: their session is a real one from now on. The cookie that it
    /// continues with.
    pub(crate) async fn raise_after_setup(&self, by: &InSession) -> Result<Option<http::HeaderValue>, Error> {
        let ways = self.ways_of(by.person()).await?;
        let proof = if ways.has(AuthenticatorKind::Passkey) {
            Proof::new(by.person().clone(), Level::PhishingResistant, &["pop", "user", "mfa"])
        } else {
            Proof::new(by.person().clone(), Level::Single, &["pwd"])
        };
        let (secret, _) = self.raise_session(by, &proof).await?;
        Ok(super::http::cookie_of(&secret))
    }

    /// Whether a session is enough for a visit, or its person has to prove themself again.
    pub(crate) fn is_enough(session: &Session, visit: &Visit) -> bool {
        let strong = visit.level.is_none_or(|level| session.proof.level >= level);
        // Links lead to the making of a way in and nowhere else.
        let real = session.proof.level > Level::Link;
        strong && real && (!visit.anew || session.proved >= visit.came)
    }

    /// Puts on record that somebody did not prove themself. The same for a name that nobody has.
    async fn record_wrong(&self, name: &str, method: &str) {
        metrics::counter!("writ_sign_ins_refused_total", "method" => method.to_owned()).increment(1);
        let person = self.snapshot().person_called(name).or_else(|| name.parse().ok());
        let event = Event::global(EventKind::SignInRefused, json!({ "method": method, "person": person }));
        let ctx = self.ctx(base::Actor::Anonymous);
        // Whoever tried gets the refusal whether or not this is durable: nothing follows from it.
        if let Err(fault) = self.store().submit(Entry::Event(Origin::from(&ctx), event)).await {
            tracing::warn!(error = %fault, "a refused sign-in could not be recorded");
        }
    }
}

fn unexpected(refusal: passkey::PasskeyRefusal) -> base::Fault {
    base::Fault::new("beginning a passkey's ceremony", refusal)
}

impl Snapshot {
    /// The person with this name or address.
    pub(crate) fn person_called(&self, name: &str) -> Option<PersonId> {
        let name = name.trim();
        if !name.contains('@') {
            return self.people.named(name).map(|person| person.id.clone());
        }
        // An address that two have is nobody's: which of them is meant cannot be known.
        let reads =
            |email: &Option<String>| email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(name));
        let active = self.people.iter().filter(|person| person.body.state == PersonState::Active);
        let mut found = active.filter(|person| reads(&person.body.email)).map(|person| person.id.clone());
        let only = found.next();
        if found.next().is_some() { None } else { only }
    }
}
