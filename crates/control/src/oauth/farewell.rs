//! Telling sites that somebody signed out (OpenID Connect Back-Channel Logout 1.0).
//!
//! What a site knows about a person ends with the session in which they agreed to it, unless they agreed that it comes back
//! without them. Sites that gave an address hear of it either way: once, from whichever node notices first, and as far as they can be reached.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use base::{Actor, Error, SessionId};

use tokio::time::MissedTickBehavior;

use crate::{
    control::Control,
    delegation::{Delegation, SessionTie},
};

/// How often it is looked whether a session ended. Not at each record: most are calls, which end none.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Sends a form to an address that a client chose; whether it was taken. The binary attaches it.
pub type Tell =
    Arc<dyn Fn(String, String) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send>> + Send + Sync>;

impl Control {
    /// Tells sites, for as long as the process runs.
    pub async fn tell_sites(self) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.tell_sites_now().await;
        }
    }

    /// Tells the sites whose sessions are over by now.
    pub async fn tell_sites_now(&self) {
        for farewell in self.farewells() {
            if let Err(error) = self.say(&farewell).await {
                tracing::warn!(%error, "a site could not be told that somebody signed out");
            }
        }
    }

    /// What is tied to a session that is over.
    fn farewells(&self) -> Vec<Arc<Delegation>> {
        let (known, now) = (self.snapshot(), self.now());
        let is_over = |session: &SessionId| {
            let digest = known.session_digests.get(session);
            digest.is_none_or(|digest| known.session_lives(digest, &base::TenantId::first(), now).is_err())
        };
        let over = known.delegations.values().filter(|one| one.session.session().is_some_and(is_over));
        over.cloned().collect()
    }

    async fn say(&self, farewell: &Delegation) -> Result<(), Error> {
        let Delegation { id, client, person, .. } = farewell;
        let by = self.system("sign-out");
        // INVARIANT: the node that notes it is the one that tells.
        let (session, is_first) = match &farewell.session {
            SessionTie::EndsWith(session) => {
                (session, self.revoke_delegation(&by, id, "the session ended").await?)
            }
            SessionTie::HearsOf(session) => (session, self.outlive_session(&by, id).await?),
            SessionTie::Free => return Ok(()),
        };
        if !is_first {
            return Ok(());
        }
        let known = self.known_client(client, &self.ctx(Actor::Anonymous)).await?;
        let (Some(uri), Some(tell)) =
            (&known.metadata.backchannel_logout_uri, self.inner().tell.get().cloned())
        else {
            return Ok(());
        };
        let token = self
            .logout_token(client, person, session)
            .map_err(|error| base::Fault::new("signing a token", error))?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", token.expose())
            .finish();
        match tell(uri.clone(), form).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(client, "a site did not take the word that somebody signed out"),
            Err(why) => tracing::warn!(client, why, "a site could not be told that somebody signed out"),
        }
        Ok(())
    }
}
