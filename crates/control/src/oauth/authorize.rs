//! From a client's request to a person's answer (RFC 6749, section 4.1).
//!
//! A request travels with the person, sealed, until they decided; it is read anew at each step, so whatever changed meanwhile
//! counts. Nothing is kept of it before.

use std::sync::Arc;

use base::{Actor, Error, PersonId};
use wire::oauth::{AuthorizationTarget, ErrorCode, Form, OAuthError};

use super::{
    asked::{Answering, Asked, Unanswerable},
    code::CODE_PREFIX,
    device::Awaited,
    wanted::{Unwanted, refusal_of},
};
use crate::{
    client::ClientUse,
    control::Control,
    delegation::{CodeTerms, Delegation, Powers, Remembered, Ticket, WantedPowers},
    login::{Purpose, Visit},
    opaque::new_secret,
    principal::Level,
    session::InSession,
};

/// The largest request that comes with a person, in bytes.
pub(super) const QUERY_BYTES_MAX: usize = 16 * 1024;

/// Where somebody goes next.
pub(super) enum Next {
    /// Back to the client, with an answer.
    Client(String),
    /// To prove themself; then they come back with this visit.
    SignIn(String),
    /// To the page on which they decide.
    Page(String),
    /// To decide.
    Decide(Box<(Answering, Asked)>),
    /// The device goes on by itself.
    DeviceDone,
    /// The person may not agree to it.
    Denied(String),
    /// The form was not answered properly.
    Again(Box<(Answering, Asked)>, &'static str),
    /// The program made a mistake that is shown to the person.
    Mistake(String),
}

impl Control {
    /// Takes a request in; answers with where the person goes.
    pub(super) async fn take_request(&self, query: &str, session: Option<&InSession>) -> Result<Next, Error> {
        let ctx = self.ctx(Actor::Anonymous);
        if query.len() > QUERY_BYTES_MAX {
            return Ok(Next::Mistake("the request is larger than 16 KiB; push it instead (RFC 9126)".into()));
        }
        let form = match Form::parse(query.as_bytes()) {
            Ok(form) => form,
            Err(error) => return Ok(Next::Mistake(error.description)),
        };
        let was_pushed = form.get("request_uri").is_some();
        let query = match (form.get("client_id"), form.get("request_uri")) {
            (Some(client), Some(uri)) => match self.pushed_request(client, uri, &ctx).await? {
                Some(body) => body,
                None => {
                    return Ok(Next::Mistake(
                        "`request_uri` is unknown, was used, or its time is over".into(),
                    ));
                }
            },
            (None, Some(_)) => return Ok(Next::Mistake("the parameter `client_id` is missing".into())),
            (_, None) => query.to_owned(),
        };
        let (answering, asked) = match self.read_request(&query).await? {
            Ok(read) => read,
            Err(next) => return Ok(next),
        };
        if answering.client.par_required && !was_pushed {
            let error = OAuthError::new(
                ErrorCode::InvalidRequest,
                "this client's requests must be pushed (RFC 9126)",
            );
            return Ok(Next::Client(answering.refusal(&error)));
        }
        if let Some(acr) = &asked.request.claims.acr
            && acr.essential
            && level_of(&acr.values).is_none()
        {
            let why = "nobody signs in here in a way that the claim `acr` insists on";
            let error = OAuthError::new(ErrorCode::UnmetAuthenticationRequirements, why);
            return Ok(Next::Client(answering.refusal(&error)));
        }
        let too_old =
            |age: i64| session.is_none_or(|session| session.session.proved.plus_seconds(age) < ctx.now);
        let visit = Visit {
            purpose: Purpose::Authorize(query),
            came: ctx.now,
            client: Some(answering.client.metadata.client_name.clone()),
            target: Some(answering.redirect.to_string()),
            anew: asked.request.prompt.login || asked.request.max_age.is_some_and(too_old),
            level: level(&asked),
            hint: asked.request.login_hint.clone(),
        };
        let sealed = self.seal_visit(&visit)?;
        match self.go_on(&visit, sealed.clone(), (answering, asked), session).await? {
            // The page of its own, whose address holds the request as it was taken in.
            Next::Decide(_) => Ok(Next::Page(visit.onward(&sealed))),
            next => Ok(next),
        }
    }

    /// Goes on with a visit after its person proved themself.
    pub(super) async fn resume(
        &self,
        visit: &Visit,
        sealed: &str,
        session: Option<&InSession>,
    ) -> Result<Next, Error> {
        match self.read_visit(visit).await? {
            Ok((answering, asked)) => self.go_on(visit, sealed.to_owned(), (answering, asked), session).await,
            Err(next) => Ok(next),
        }
    }

    async fn go_on(
        &self,
        visit: &Visit,
        sealed: String,
        (answering, asked): (Answering, Asked),
        session: Option<&InSession>,
    ) -> Result<Next, Error> {
        let asks_nobody = asked.request.prompt.none;
        let refuse = |code, why: &str| Ok(Next::Client(answering.refusal(&OAuthError::new(code, why))));
        let Some(session) = session.filter(|session| Self::is_enough(&session.session, visit)) else {
            if asks_nobody {
                return refuse(ErrorCode::LoginRequired, "the person has to sign in");
            }
            return Ok(Next::SignIn(sealed));
        };
        if asked.request.claims.subject.as_deref().is_some_and(|subject| subject != session.person().as_str())
        {
            return refuse(ErrorCode::LoginRequired, "whoever is signed in is not the person asked about");
        }
        if let Some(code) = self.remembered_code(visit, &answering, &asked, session).await? {
            return Ok(code);
        }
        if asks_nobody {
            return refuse(ErrorCode::ConsentRequired, "the person has to agree");
        }
        Ok(Next::Decide(Box::new((answering, asked))))
    }

    /// A code without a question, where the person agreed to as much before.
    ///
    /// SECURITY: anybody on a person's machine can pose as a client whose answers go to a loopback address, so without
    /// somebody who vouches for it the person is asked each time (RFC 8252, section 8.6).
    async fn remembered_code(
        &self,
        visit: &Visit,
        answering: &Answering,
        asked: &Asked,
        session: &InSession,
    ) -> Result<Option<Next>, Error> {
        let client = &answering.client;
        let anybody = !client.is_vouched() && answering.redirect.is_loopback() && client.is_public();
        if asked.request.prompt.consent || anybody || !matches!(visit.purpose, Purpose::Authorize(_)) {
            return Ok(None);
        }
        let earlier = self.agreed_before((answering, asked), session.person(), &asked.scope);
        let Some(earlier) = earlier.filter(|earlier| self.lacks(earlier, asked).is_none()) else {
            return Ok(None);
        };
        let powers = match &earlier.powers {
            Powers::Agent { agent, task } => {
                WantedPowers::SameTask { agent: agent.clone(), task: task.clone() }
            }
            Powers::Person => WantedPowers::Person,
            Powers::SignIn => WantedPowers::SignIn,
        };
        let seconds = (earlier.expires.millis() - session.now().millis()) / 1000;
        let wanted = self.wanted((answering, asked), session, powers, seconds);
        self.give_code(answering, asked, session, &wanted).await.map(Some)
    }

    /// What a person agreed to before for the same client and resource, with these scopes at least.
    pub(super) fn agreed_before(
        &self,
        (answering, asked): (&Answering, &Asked),
        person: &PersonId,
        scope: &[String],
    ) -> Option<Arc<Delegation>> {
        let wanted = Remembered {
            client: &answering.client.client_id,
            client_digest: &answering.client.digest(),
            redirect: &answering.registered(),
            audience: &asked.audience.uri(&self.settings().issuer()),
            scope,
            claims: &asked.claims,
            wish: asked.wish.as_deref(),
        };
        self.snapshot().remembered(person, &wanted, self.now()).cloned()
    }

    /// What the person decided.
    pub(super) async fn answer_visit(
        &self,
        visit: &Visit,
        sealed: &str,
        form: &Form,
        session: &InSession,
    ) -> Result<Next, Error> {
        let (answering, asked) = match self.read_visit(visit).await? {
            Ok(read) => read,
            Err(next) => return Ok(next),
        };
        if !Self::is_enough(&session.session, visit) {
            return Ok(Next::SignIn(sealed.to_owned()));
        }
        let client = &answering.client;
        let device = self.device_of(visit).await?;
        if form.get("decision") != Some("allow") {
            self.record_no(session, session.person(), &client.client_id).await?;
            if form.get("adds").is_some()
                && let Some(widens) = self.to_widen((&answering, &asked), session.person())
            {
                self.decline(session, &widens.earlier.id, &widens.new).await?;
            }
            if let Some(device) = &device {
                self.refuse_device(session, &device.digest).await?;
                return Ok(Next::DeviceDone);
            }
            let error = OAuthError::new(ErrorCode::AccessDenied, "the person said no");
            return Ok(Next::Client(answering.refusal(&error)));
        }
        let both = (&answering, &asked);
        let wanted = match self.agreed(form, both, session) {
            Ok(wanted) => wanted,
            Err(Unwanted::Nothing) => {
                return Ok(Next::Again(Box::new((answering, asked)), "error-nothing-chosen"));
            }
            Err(Unwanted::Form) => return Ok(Next::Again(Box::new((answering, asked)), "notice-again")),
            Err(Unwanted::Denied(why)) => return Ok(Next::Denied(why)),
            Err(Unwanted::Client(error)) => return Ok(Next::Client(answering.refusal(&error))),
        };
        if asked.powers == ClientUse::Person && self.needs_more(session) {
            return Ok(Next::Denied(
                "acting as somebody who administers needs a second factor or a passkey".into(),
            ));
        }
        if let Some(device) = device {
            return match self
                .delegate(session, session.person(), &wanted, Ticket::Device(&device.digest))
                .await
            {
                Ok(_) => Ok(Next::DeviceDone),
                Err(Error::Refused(refusal)) => Ok(Next::Denied(refusal.message)),
                Err(error) => Err(error),
            };
        }
        self.give_code(&answering, &asked, session, &wanted).await
    }

    /// Keeps what was agreed to, and sends the client its code.
    async fn give_code(
        &self,
        answering: &Answering,
        asked: &Asked,
        session: &InSession,
        wanted: &crate::delegation::Wanted,
    ) -> Result<Next, Error> {
        let code = new_secret(CODE_PREFIX, self.inner().dice.as_ref());
        let terms = CodeTerms {
            client: answering.client.client_id.clone(),
            redirect: answering.named.clone(),
            challenge: asked.request.challenge.clone(),
            nonce: asked.request.nonce.clone(),
            jkt: asked.request.dpop_jkt.clone(),
        };
        match self.delegate(session, session.person(), wanted, Ticket::Code(&code, &terms)).await {
            Ok(_) => Ok(Next::Client(answering.answer(&[("code", code.expose())]))),
            Err(error @ Error::Refused(_)) => Ok(Next::Client(answering.refusal(&refusal_of(error)))),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody who may administer proved themself by too little for a program to act as them.
    fn needs_more(&self, session: &InSession) -> bool {
        use crate::grant::Permission;
        let person = session.person().into();
        let known = self.snapshot();
        let holds = |permission| known.has_permission(&person, permission, session.now());
        session.session.proof.level < Level::Double
            && (holds(Permission::Administer) || holds(Permission::Audit))
    }

    /// The device that a visit is about, if it is about one that still waits.
    async fn device_of(&self, visit: &Visit) -> Result<Option<Awaited>, Error> {
        match &visit.purpose {
            Purpose::Device(code) => self.awaited(code, self.now()).await,
            Purpose::Authorize(_) | Purpose::Account(_) | Purpose::SignOut(_) => Ok(None),
        }
    }

    async fn read_visit(&self, visit: &Visit) -> Result<Result<(Answering, Asked), Next>, Error> {
        match &visit.purpose {
            Purpose::Authorize(query) => self.read_request(query).await,
            Purpose::Device(code) => match self.awaited(code, self.now()).await? {
                Some(device) => self.read_device(&device.body).await,
                None => Ok(Err(Next::Mistake("no device waits with this code".into()))),
            },
            Purpose::Account(_) | Purpose::SignOut(_) => Ok(Err(Next::Mistake("there is no request".into()))),
        }
    }

    /// Reads a request: where its answer goes, and what it asks.
    async fn read_request(&self, query: &str) -> Result<Result<(Answering, Asked), Next>, Error> {
        let form = match Form::parse(query.as_bytes()) {
            Ok(form) => form,
            Err(error) => return Ok(Err(Next::Mistake(error.description))),
        };
        let ctx = self.ctx(Actor::Anonymous);
        let answering = match self.answering(&form, &ctx).await {
            Ok(answering) => answering,
            Err(unanswerable) => return unanswerable.detail().map(|why| Err(Next::Mistake(why))),
        };
        match self.asked(&form, &answering.client) {
            Ok(asked) => Ok(Ok((answering, asked))),
            Err(error) => Ok(Err(Next::Client(answering.refusal(&error)))),
        }
    }

    /// Reads a device's request, which has no address to answer to.
    async fn read_device(&self, body: &str) -> Result<Result<(Answering, Asked), Next>, Error> {
        let mistake = |error: OAuthError| Ok(Err(Next::Mistake(error.description)));
        let form = match Form::parse(body.as_bytes()) {
            Ok(form) => form,
            Err(error) => return mistake(error),
        };
        let target = match AuthorizationTarget::parse(&form) {
            Ok(target) => target,
            Err(error) => return mistake(error),
        };
        let ctx = self.ctx(Actor::Anonymous);
        let client = match self.known_client(&target.client_id, &ctx).await {
            Ok(client) => client,
            Err(error) => return Unanswerable::Error(error).detail().map(|why| Err(Next::Mistake(why))),
        };
        match self.asked(&form, &client) {
            Ok(asked) => Ok(Answering::of_device(client, &target, self.settings().issuer())
                .map(|to| (to, asked))
                .ok_or_else(|| Next::Mistake("the device's request is broken".into()))),
            Err(error) => mistake(error),
        }
    }
}

/// How strongly the person has to sign in: the weakest of what would do. What is essential stands above what is a wish.
fn level(asked: &Asked) -> Option<Level> {
    let claimed = asked.request.claims.acr.as_ref();
    let essential = claimed.filter(|acr| acr.essential).and_then(|acr| level_of(&acr.values));
    let wished = || level_of(&asked.request.acr_values).or_else(|| level_of(&claimed?.values));
    essential.or_else(wished)
}

fn level_of(values: &[String]) -> Option<Level> {
    values.iter().filter_map(|acr| Level::of(acr)).min()
}
