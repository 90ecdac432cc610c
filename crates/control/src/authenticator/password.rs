//! Passwords: what is admitted as one, and hashing in a pool with an end.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base::{Dice, Fault, Secret};
use tokio::sync::Semaphore;

use super::AuthenticatorRefusal;

/// The shortest password, in characters: longer than NIST SP 800-63B-4, section 3.1.1.2 asks beside a second factor.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
const CHARACTERS_MAX: usize = 1024;
/// How many wait for the pool at most.
const WAITING_MAX: usize = 64;
/// How many letters and digits a password has beside what it says of its person.
const OWN_CHARACTERS_MIN: usize = 6;
/// A password that is found among fewer guesses than this is one that is guessed early (decimal logarithm).
const GUESSES_LOG10_MIN: f64 = 8.0;

/// What hashing costs (RFC 9106, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// 19 MiB and two passes: some 15 ms of a core.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

impl Cost {
    /// Next to nothing: for tests of everything but the cost.
    pub const TOKEN: Self = Self { memory_kib: 8, passes: 1 };
}

/// Too many wait for the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HasherBusy;

/// Whether a password may be one: by its length and by how early it is guessed, not by what it is composed of. `about`
/// are words that others connect with the person.
pub(crate) fn admit(password: &Secret, about: &[&str]) -> Result<(), AuthenticatorRefusal> {
    let characters = password.expose().chars().count();
    if !(PASSWORD_CHARACTERS_MIN..=CHARACTERS_MAX).contains(&characters) {
        return Err(AuthenticatorRefusal::Length);
    }
    // Estimating takes time that grows with the length, and what is long enough is not in any list.
    let beginning: String = password.expose().chars().take(64).collect();
    if zxcvbn::zxcvbn(&beginning, about).guesses_log10() < GUESSES_LOG10_MIN || is_about(&beginning, about) {
        return Err(AuthenticatorRefusal::Known);
    }
    Ok(())
}

/// Whether little is left of a password without the words that others connect with the person.
fn is_about(password: &str, about: &[&str]) -> bool {
    let mut left = password.to_lowercase();
    for word in about.iter().filter(|word| word.chars().count() >= 3) {
        left = left.replace(&word.to_lowercase(), "");
    }
    left.chars().filter(|character| character.is_alphanumeric()).count() < OWN_CHARACTERS_MIN
}

/// Hashes and verifies passwords, one at a time for each core, with few waiting.
pub(crate) struct Hasher {
    cost: Cost,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// What the password of nobody is compared with, so that it takes as long as somebody's.
    decoy: LazyLock<String, Box<dyn FnOnce() -> String + Send + Sync>>,
}

impl Hasher {
    pub(crate) fn new(cost: Cost) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let decoy: Box<dyn FnOnce() -> String + Send + Sync> =
            Box::new(move || hash(cost, b"nobody's", &[7; 16]).unwrap_or_default());
        Self {
            cost,
            places: Arc::new(Semaphore::new(cores)),
            waiting: AtomicUsize::new(0),
            decoy: LazyLock::new(decoy),
        }
    }

    /// The hash of a password, in the PHC's string format.
    pub(crate) async fn hash(
        &self,
        password: &Secret,
        dice: &dyn Dice,
    ) -> Result<Result<String, Fault>, HasherBusy> {
        let (password, salt, cost) = (password.clone(), dice.bytes::<16>(), self.cost);
        self.work(move || hash(cost, password.expose().as_bytes(), &salt)).await
    }

    /// The hash of nobody's password, which costs as much as anybody's.
    pub(crate) fn nobodys(&self) -> &str {
        &self.decoy
    }

    /// Whether this is the password behind a hash.
    pub(crate) async fn verify(&self, password: &Secret, kept: String) -> Result<bool, HasherBusy> {
        let password = password.clone();
        self.work(move || {
            Argon2::default().verify_password(password.expose().as_bytes(), kept.as_str()).is_ok()
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HasherBusy> {
        let _waits = Waits::of(&self.waiting)?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| HasherBusy)?;
        // The place goes along: a caller that goes away does not make room for a second one while the first still runs.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|_| HasherBusy)
    }
}

/// One of those that wait.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn of(waiting: &'a AtomicUsize) -> Result<Self, HasherBusy> {
        let waits = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX { Err(HasherBusy) } else { Ok(waits) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(cost: Cost, password: &[u8], salt: &[u8]) -> Result<String, Fault> {
    let fault = |error: String| Fault::new("hashing a password", error);
    let params =
        Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|error| fault(error.to_string()))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = hasher.hash_password_with_salt(password, salt).map_err(|error| fault(error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use base::Secret;
    use testkit::SeededDice;

    use super::{AuthenticatorRefusal, Cost, Hasher, HasherBusy, WAITING_MAX, admit};

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn length_and_lists_decide_and_composition_does_not() {
        for good in [
            "correct horse battery staple",
            "zwölf kleine Igel rennen",
            "qlmvkzjwpxub",
            &"lorem ipsum ".repeat(80),
        ] {
            assert_eq!(admit(&secret(good), &[]), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("Tr0ub4dor&3", AuthenticatorRefusal::Length),
            (&"x".repeat(1025)[..], AuthenticatorRefusal::Length),
            ("Password1234", AuthenticatorRefusal::Known),
            ("aaaaaaaaaaaaaaaa", AuthenticatorRefusal::Known),
            ("qwerty123456", AuthenticatorRefusal::Known),
        ] {
            assert_eq!(admit(&secret(bad), &[]), Err(why), "{bad}");
        }
        assert_eq!(
            admit(&secret("maya.lind.example"), &["maya", "lind", "example"]),
            Err(AuthenticatorRefusal::Known)
        );
    }

    #[tokio::test]
    async fn a_password_is_its_own_and_nobodys_is_none() {
        let hasher = Hasher::new(Cost::TOKEN);
        let kept = hasher.hash(&secret("one"), &SeededDice::new(1)).await.unwrap().unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{kept}");
        assert!(hasher.verify(&secret("one"), kept.clone()).await.unwrap());
        assert!(!hasher.verify(&secret("two"), kept).await.unwrap());
        assert!(hasher.nobodys().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "it costs the same");
        assert!(!hasher.verify(&secret("one"), "no hash".into()).await.unwrap());
    }

    #[tokio::test]
    async fn more_than_a_queue_are_turned_away_and_nobody_is_forgotten() {
        let hasher = std::sync::Arc::new(Hasher::new(Cost::TOKEN));
        let cores = hasher.places.available_permits();
        let all = hasher.places.clone().acquire_many_owned(u32::try_from(cores).unwrap()).await.unwrap();
        let many: Vec<_> = (0..WAITING_MAX + 8)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.verify(&secret("x"), hasher.nobodys().to_owned()).await })
            })
            .collect();
        while hasher.waiting.load(std::sync::atomic::Ordering::Relaxed) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        drop(all);
        let mut busy = 0;
        for one in many {
            busy += usize::from(one.await.unwrap() == Err(HasherBusy));
        }
        assert_eq!(busy, 8);
        assert_eq!(hasher.verify(&secret("x"), hasher.nobodys().to_owned()).await, Ok(false));
    }
}
