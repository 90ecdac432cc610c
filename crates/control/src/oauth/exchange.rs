//! Token exchange (RFC 8693): a person's authority delegated to an agent, an agent's task handed down to another.
//!
//! Authority only narrows: what comes out is a task of the asking agent on behalf of the same person, below the same
//! task, and it lives no longer than the token it came from.

use base::{AgentId, IdKind, PersonId, Timestamp};
use wire::oauth::{ErrorCode, Exchange, ExchangeToken, OAuthError, TaskDetails, TokenKind};

use super::{
    asking::Asking,
    audience::Audience,
    refused::TokenRefused,
    verify::{TokenHolder, stands},
    wish::{Descent, open_task},
};
use crate::{control::Control, credential::API_TOKEN_PREFIX, decide::Caller, opaque::sha256, task::Task};

/// On whose authority an exchange rests.
enum Subject {
    /// A person's own, and the digest of the token that shows it.
    Person(PersonId, [u8; 32]),
    /// An agent's, within its task.
    Agent(Box<Caller>),
}

impl Control {
    /// The task for which an exchanged token is made, and until when the subject's token lives.
    pub(super) async fn exchanged_task(
        &self,
        asking: &Asking,
        agent: &AgentId,
        exchange: &Exchange,
        wish: Option<&TaskDetails>,
    ) -> Result<(Task, Option<Timestamp>), OAuthError> {
        if exchange.requested.is_some_and(|kind| kind != TokenKind::AccessToken) {
            return Err(invalid_request("`requested_token_type` must be that of an access token"));
        }
        if let Some(actor) = &exchange.actor {
            self.check_actor(asking, agent, actor)?;
        }
        let (subject, until) = self.subject(asking, &exchange.subject)?;
        let task = match &subject {
            Subject::Person(person, source) => {
                self.delegated_task(asking, agent, person, *source, wish).await?
            }
            Subject::Agent(caller) => self.handed_down_task(asking, agent, caller, wish).await?,
        };
        Ok((task, until))
    }

    fn subject(
        &self,
        asking: &Asking,
        shown: &ExchangeToken,
    ) -> Result<(Subject, Option<Timestamp>), OAuthError> {
        only_access_tokens("subject_token", shown)?;
        let token = shown.token.expose();
        if !token.starts_with(API_TOKEN_PREFIX) {
            let caller = self.exchanged_caller(asking, "subject_token", token)?;
            let until = caller.expires;
            return Ok((Subject::Agent(Box::new(caller)), Some(until)));
        }
        let refuse = |why: &str| OAuthError::new(ErrorCode::InvalidGrant, format!("`subject_token`: {why}"));
        let digest = sha256(token.as_bytes());
        let principal = self.snapshot().api_token_holder(&digest, &asking.ctx).cloned();
        let principal = principal.map_err(|refusal| refuse(&refusal.to_string()))?;
        // Workloads have tokens, too, but no authority of a person to hand on.
        let person = Some(principal).filter(|principal| principal.kind() == IdKind::PersonId);
        let person = person.and_then(|person| person.as_str().parse().ok());
        let person = person.ok_or_else(|| refuse("only a person's token delegates authority"))?;
        let kept = asking.known.api_tokens.get(&digest);
        Ok((Subject::Person(person, digest), kept.and_then(|kept| kept.expires)))
    }

    /// The actor token, where there is one, is the client's own.
    fn check_actor(&self, asking: &Asking, agent: &AgentId, shown: &ExchangeToken) -> Result<(), OAuthError> {
        only_access_tokens("actor_token", shown)?;
        let caller = self.exchanged_caller(asking, "actor_token", shown.token.expose())?;
        if &caller.agent == agent {
            Ok(())
        } else {
            Err(OAuthError::new(ErrorCode::InvalidGrant, "`actor_token`: it is another client's"))
        }
    }

    /// The agent behind an access token of this issuer, for whatever resource.
    ///
    /// SECURITY: a token that is bound to a key is good only together with a proof of that key; otherwise whoever stole
    /// it could turn it into a token of their own.
    fn exchanged_caller(&self, asking: &Asking, name: &str, token: &str) -> Result<Caller, OAuthError> {
        let refuse = |why: TokenRefused| OAuthError::new(ErrorCode::InvalidGrant, format!("`{name}`: {why}"));
        let believed =
            self.believe(&asking.known, token, asking.ctx.now).map_err(|refusal| refuse(refusal.into()))?;
        if Audience::parse(&believed.claims.audience, &self.settings().issuer()).is_none() {
            return Err(refuse(TokenRefused::WrongAudience));
        }
        let holder = stands(&asking.known, &believed, &asking.ctx.tenant, asking.ctx.now).map_err(refuse)?;
        if believed.claims.thumbprint.is_some() && believed.claims.thumbprint != asking.key {
            let why = format!(
                "`{name}`: it is bound to a key; send a DPoP proof of that key, or let its agent make the child task through the API"
            );
            return Err(OAuthError::new(ErrorCode::InvalidGrant, why));
        }
        match holder {
            TokenHolder::Agent(caller) => Ok(*caller),
            TokenHolder::Workload(_) | TokenHolder::Person(_) => Err(refuse(TokenRefused::NotAnAgent)),
        }
    }

    /// A person sets an agent to work.
    async fn delegated_task(
        &self,
        asking: &Asking,
        agent: &AgentId,
        person: &PersonId,
        source: [u8; 32],
        wish: Option<&TaskDetails>,
    ) -> Result<Task, OAuthError> {
        let descent = Descent { person: Some(person), parent: None, source: Some(source) };
        match wish {
            Some(TaskDetails::Existing(id)) => {
                open_task(asking, id, |task| &task.agent == agent && task.person.as_ref() == Some(person))
            }
            Some(TaskDetails::New(new)) if new.parent.is_some() => Err(OAuthError::new(
                ErrorCode::InvalidAuthorizationDetails,
                "`parent`: a child task descends from its parent's token; send that as `subject_token`",
            )),
            Some(TaskDetails::New(new)) => self.new_task(asking, agent, new, descent).await,
            None => self.joined_task(asking, agent, descent).await,
        }
    }

    /// An agent hands a part of its task on, or takes its own token to another resource.
    async fn handed_down_task(
        &self,
        asking: &Asking,
        agent: &AgentId,
        from: &Caller,
        wish: Option<&TaskDetails>,
    ) -> Result<Task, OAuthError> {
        let parent = open_task(asking, &from.task, |task| task.agent == from.agent)?;
        let descent = Descent { person: parent.person.as_ref(), parent: Some(&parent), source: None };
        let is_below = |task: &Task| task.parent.as_ref() == Some(&parent.id) || task.id == parent.id;
        match wish {
            Some(TaskDetails::Existing(id)) => {
                open_task(asking, id, |task| &task.agent == agent && is_below(task))
            }
            Some(TaskDetails::New(new)) if new.parent.as_ref().is_some_and(|named| named != &parent.id) => {
                Err(OAuthError::new(
                    ErrorCode::InvalidAuthorizationDetails,
                    "`parent`: it is not the task of `subject_token`",
                ))
            }
            Some(TaskDetails::New(new)) => self.new_task(asking, agent, new, descent).await,
            None if &from.agent == agent => Ok(parent),
            None => self.joined_task(asking, agent, descent).await,
        }
    }
}

fn only_access_tokens(name: &str, shown: &ExchangeToken) -> Result<(), OAuthError> {
    match shown.kind {
        TokenKind::AccessToken => Ok(()),
        TokenKind::RefreshToken | TokenKind::IdToken | TokenKind::Jwt | TokenKind::IdJag => {
            Err(invalid_request(&format!("`{name}_type` must be that of an access token")))
        }
    }
}

fn invalid_request(why: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, why)
}
