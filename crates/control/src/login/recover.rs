//! A way back in, by mail.

use std::{future::Future, pin::Pin, sync::Arc};

use base::{Class, Error, PersonId, Refuse};
use pages::{Language, Letter};

use crate::{authority::Authority, control::Control};

/// How long a link works that somebody asked for, in seconds.
const SECONDS: i64 = 15 * 60;

/// A piece of mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// To which address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Sends mail; why it was not sent is for the operator.
pub type Post = Arc<dyn Fn(Mail) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What sending a link is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailRefusal {
    /// Nobody said how.
    #[error("this server sends no mail")]
    Off,
    /// There is no address.
    #[error("the person has no e-mail address")]
    NoAddress,
    /// It did not go out.
    #[error("the mail could not be sent")]
    NotSent,
}

impl Refuse for MailRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Off | Self::NoAddress => Class::Conflict,
            Self::NotSent => Class::Busy,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Off => "mail_off",
            Self::NoAddress => "no_address",
            Self::NotSent => "mail_not_sent",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Off => "set `mail` in the configuration file, or hand the link over yourself".into(),
            Self::NoAddress => "`writ apply` a Person with `email`, or hand the link over yourself".into(),
            Self::NotSent => "the server's log says why; try again".into(),
        })
    }
}

impl Control {
    /// Whether mail can be sent.
    pub(crate) fn sends_mail(&self) -> bool {
        self.inner().post.get().is_some()
    }

    /// Sends a person a link to their address. Whoever uses it reads mail there.
    pub async fn mail_link(
        &self,
        by: &impl Authority,
        person: &PersonId,
        seconds: i64,
        language: Language,
    ) -> Result<(), Error> {
        let post = self.inner().post.get().cloned().ok_or(MailRefusal::Off)?;
        let found = self.snapshot().people.get(person).map(|person| person.body.clone());
        let found = found.and_then(|body| body.email.map(|email| (body.display_name, email)));
        let (name, email) = found.ok_or(MailRefusal::NoAddress)?;
        let invited = self.invite(by, person, seconds, Some(&email)).await?;
        let url = format!("{}{}", self.settings().issuer(), invited.path.expose());
        let Letter { subject, text } = Letter::with_link(language, &name, &url);
        post(Mail { to: email, subject, text }).await.map_err(|why| {
            tracing::error!(why, "a link could not be sent");
            MailRefusal::NotSent.into()
        })
    }

    /// Somebody asks for a way back in. What becomes of it nobody is told, and nobody waits for it: known and unknown
    /// names cost the same until the answer is out.
    pub(super) fn recover(&self, address: &str, name: &str, language: Language) {
        let now = self.now();
        let tries = &self.inner().tries;
        if !tries.admit_address(address, now) || !tries.admit_name("mail", name, now) {
            return;
        }
        let Some(person) = self.snapshot().person_called(name) else { return };
        let control = self.clone();
        tokio::spawn(async move {
            let by = control.system("recovery");
            if let Err(error) = control.mail_link(&by, &person, SECONDS, language).await {
                tracing::warn!(%error, "somebody asked for a way back in and got none");
            }
        });
    }
}
