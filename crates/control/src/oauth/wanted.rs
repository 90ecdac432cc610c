//! What a person is asked to agree to, as they see it, and what they agreed to, as they left it.

use std::collections::BTreeSet;

use base::{Error, PersonId, Timestamp};
use pages::{Already, Choice, Consent, Page, Rule, Trust};
use policy::{Effect, Pattern, PromptRule, ResourceRule, Scope, ToolRule, UriRule};
use wire::oauth::{ErrorCode, Form, NewTask, OAuthError, SignedIn, TaskDetails};

use super::{
    asked::{Answering, Asked, IDENTITY_SCOPES, OFFLINE_ACCESS},
    audience::Audience,
    openid::scope_of,
    widen::ToWiden,
    wish::rules,
};
use crate::{
    client::ClientUse,
    control::Control,
    delegation::{ASSISTANT, SessionTie, Wanted, WantedPowers, WantedTask, name_for},
    principal::{BlueprintBody, LimitsSpec},
    session::{InSession, Session},
    snapshot::Snapshot,
    task::Task,
};

/// How long a person may let an agent act, in seconds, as far as the blueprint admits, and which of them is offered first.
const DURATIONS: [(i64, &str); 5] =
    [(3600, "1 h"), (8 * 3600, "8 h"), (24 * 3600, "24 h"), (7 * 24 * 3600, "7 d"), (30 * 24 * 3600, "30 d")];
const DURATION_FIRST: i64 = 8 * 3600;
/// How long a program may act as a person, in seconds.
const PERSON_SECONDS: i64 = 7 * 24 * 3600;
/// How long a program that may come back knows who somebody is, in seconds.
const SIGN_IN_SECONDS: i64 = 30 * 24 * 3600;
const UNNAMED_PURPOSE: &str = "interactive work through";

/// Why what a person agreed to cannot be kept.
pub(super) enum Unwanted {
    /// Nothing is left of it.
    Nothing,
    /// The form is not the one of the page.
    Form,
    /// The client asked for something that cannot be.
    Client(OAuthError),
    /// The person may not agree to it.
    Denied(String),
}

impl Control {
    /// The page on which a person decides.
    pub(super) fn consent_page(
        &self,
        page: Page,
        sealed: &str,
        (answering, asked): (&Answering, &Asked),
        session: &InSession,
    ) -> Result<Consent, Unwanted> {
        let known = self.snapshot();
        let client = &answering.client;
        let person = session.person();
        let is_agent = asked.powers == ClientUse::Agent;
        let (agent, owner, limits) = if is_agent {
            let found =
                known.agent_for(client, person).map_err(|refusal| Unwanted::Denied(refusal.to_string()))?;
            let owner = found.as_ref().map_or(person, |agent| &agent.body.owner);
            let owner =
                known.people.get(owner).map_or_else(String::new, |owner| owner.body.display_name.clone());
            let name = found
                .as_ref()
                .map_or_else(|| name_for(&known, client, person), |agent| agent.name.to_string());
            (Some(name), owner, limits(&known, client, person))
        } else {
            (None, String::new(), LimitsSpec::default())
        };
        let Most { new, seconds, calls, .. } = most(asked, limits, session.now());
        let widens = self.to_widen((answering, asked), person);
        Ok(Consent {
            page,
            visit: sealed.to_owned(),
            client: client.metadata.client_name.clone(),
            client_id: client.client_id.clone(),
            trust: match (client.is_vouched(), answering.redirect.is_loopback()) {
                (true, _) => Trust::Vouched,
                (false, false) => Trust::Unknown,
                (false, true) => Trust::OnThisMachine,
            },
            redirect_host: answering.redirect.host().to_owned(),
            agent,
            owner,
            as_person: asked.powers == ClientUse::Person,
            purpose: new.map(|new| new.purpose.clone()),
            instruction: new.and_then(|new| new.instruction.clone()),
            resource: match &asked.audience {
                Audience::Mcp(server) => server.clone(),
                Audience::AllServers => "*".into(),
                Audience::Api | Audience::UserInfo => String::new(),
            },
            rules: new.map(shown_rules).transpose().map_err(Unwanted::Client)?.unwrap_or_default(),
            already: widens.as_ref().map(|widens| Already {
                task: widens.task.id.to_string(),
                effects: widens.has.iter().map(|effect| label(*effect)).collect(),
                until: widens.task.scope.deadline,
            }),
            effects: match &widens {
                Some(widens) => effects(&widens.new),
                None if is_agent && new.is_none() => effects(&offered(asked)),
                None => Vec::new(),
            },
            durations: durations(seconds),
            calls,
            learns: learns(asked).into_iter().map(|scope| format!("scope-{scope}")).collect(),
            offline: is_agent
                || asked.powers == ClientUse::Person
                || asked.scope.iter().any(|scope| scope == OFFLINE_ACCESS),
        })
    }

    /// What a person agreed to: what was asked, without what they took away.
    pub(super) fn agreed(
        &self,
        form: &Form,
        (answering, asked): (&Answering, &Asked),
        session: &InSession,
    ) -> Result<Wanted, Unwanted> {
        let client = &answering.client;
        let limits = limits(&self.snapshot(), client, session.person());
        let (powers, seconds) = match asked.powers {
            ClientUse::Person => (WantedPowers::Person, PERSON_SECONDS),
            ClientUse::SignIn => (WantedPowers::SignIn, SIGN_IN_SECONDS),
            ClientUse::Agent => {
                // SECURITY: what was shown decides. A page about a new task makes one, although there may be one to add to by now.
                if let Some(adds) = form.get("adds") {
                    let widens = self.to_widen((answering, asked), session.person());
                    let widens =
                        widens.filter(|widens| widens.task.id.as_str() == adds).ok_or(Unwanted::Form)?;
                    return self.wider(form, (answering, asked), session, &widens);
                }
                let number = |name: &str| form.get(name).and_then(|text| text.parse::<i64>().ok());
                let (seconds, calls) =
                    (number("seconds").ok_or(Unwanted::Form)?, number("calls").ok_or(Unwanted::Form)?);
                let task = task(form, asked, limits, (seconds, calls), session.now())?;
                let seconds = (task.scope.deadline.millis() - session.now().millis()) / 1000;
                let purpose = format!("{UNNAMED_PURPOSE} {}", client.metadata.client_name);
                let task = WantedTask {
                    purpose: if task.purpose.is_empty() { purpose } else { task.purpose },
                    ..task
                };
                (WantedPowers::NewTask(Box::new(task)), seconds)
            }
        };
        Ok(self.wanted((answering, asked), session, powers, seconds))
    }

    /// What the person added to a task. What they had agreed to beside it goes on: some clients ask for what is new alone.
    fn wider(
        &self,
        form: &Form,
        (answering, asked): (&Answering, &Asked),
        session: &InSession,
        widens: &ToWiden,
    ) -> Result<Wanted, Unwanted> {
        let (added, declined): (BTreeSet<Effect>, BTreeSet<Effect>) =
            widens.new.iter().partition(|effect| form.get(&field(**effect)).is_some());
        if added.is_empty() {
            return Err(Unwanted::Nothing);
        }
        let Task { agent, id: task, .. } = widens.task.as_ref().clone();
        let seconds = (widens.task.scope.deadline.millis() - session.now().millis()) / 1000;
        let before = widens.earlier.declined.difference(&added).copied();
        let declined = before.chain(declined).collect();
        let powers = WantedPowers::WiderTask { agent, task, added };
        let earlier = widens.earlier.as_ref();
        let further = asked.scope.iter().filter(|scope| !earlier.scope.contains(scope));
        let scope = earlier.scope.iter().chain(further).cloned().collect();
        let merged = Asked { scope, claims: earlier.claims.clone(), ..asked.clone() };
        Ok(Wanted { declined, ..self.wanted((answering, &merged), session, powers, seconds) })
    }

    /// The same for what a person agreed to before.
    pub(super) fn wanted(
        &self,
        (answering, asked): (&Answering, &Asked),
        session: &InSession,
        powers: WantedPowers,
        seconds: i64,
    ) -> Wanted {
        let has = |wanted: &str| asked.scope.iter().any(|scope| scope == wanted);
        let this = session.session.id.clone();
        let tie = match asked.powers {
            ClientUse::SignIn if !has(OFFLINE_ACCESS) => SessionTie::EndsWith(this),
            _ if has("openid") => SessionTie::HearsOf(this),
            _ => SessionTie::Free,
        };
        Wanted {
            client: answering.client.clone(),
            redirect: answering.registered(),
            audience: asked.audience.uri(&self.settings().issuer()),
            scope: asked.scope.clone(),
            claims: asked.claims.clone(),
            wish: asked.wish.clone(),
            powers,
            seconds,
            declined: BTreeSet::new(),
            signed_in: signed_in(&session.session),
            session: tie,
        }
    }
}

/// What the client learns about the person, by the scopes that stand for it.
fn learns(asked: &Asked) -> Vec<&str> {
    let has = |scope: &&&str| {
        asked.scope.iter().any(|asked| asked == **scope)
            || [&asked.claims.id_token, &asked.claims.userinfo]
                .into_iter()
                .flatten()
                .any(|claim| scope_of(claim) == Some(**scope))
    };
    IDENTITY_SCOPES.iter().filter(has).copied().collect()
}

/// How the person of a session signed in.
pub(super) fn signed_in(session: &Session) -> SignedIn {
    SignedIn {
        at: Timestamp::from_seconds(session.proved.seconds()),
        acr: session.proof.level.acr().to_owned(),
        amr: session.proof.methods.clone(),
    }
}

/// What the blueprint of a client's agent admits, or will admit.
fn limits(known: &Snapshot, client: &crate::client::KnownClient, person: &PersonId) -> LimitsSpec {
    let agent = known.agent_for(client, person).ok().flatten();
    let blueprint = match &agent {
        Some(agent) => known.blueprints.get(&agent.body.blueprint),
        None => known.blueprints.named(ASSISTANT),
    };
    blueprint.map_or_else(LimitsSpec::default, |blueprint| {
        let body: &BlueprintBody = &blueprint.body;
        body.limits
    })
}

/// The most that may be agreed to: what was asked, as far as the blueprint admits it.
struct Most<'a> {
    /// The task that was described.
    new: Option<&'a NewTask>,
    seconds: i64,
    calls: i64,
    bytes: i64,
}

fn most(asked: &Asked, limits: LimitsSpec, now: Timestamp) -> Most<'_> {
    let new = match &asked.request.task {
        Some(TaskDetails::New(new)) => Some(new.as_ref()),
        Some(TaskDetails::Existing(_)) | None => None,
    };
    let least = |asked: Option<i64>, most: i64| asked.map_or(most, |asked| asked.min(most));
    let until = new.and_then(|new| new.until).map(|until| until.resolve(now));
    let seconds = until.map(|until| (until.millis() - now.millis()) / 1000);
    Most {
        new,
        seconds: least(seconds, limits.task_seconds_max).max(1),
        calls: least(new.and_then(|new| new.limits.calls), limits.calls_max),
        bytes: least(new.and_then(|new| new.limits.bytes), limits.bytes_max),
    }
}

fn durations(longest: i64) -> Vec<Choice> {
    let choice = |(seconds, label): (i64, String), first: i64| Choice {
        field: "seconds".into(),
        value: seconds.to_string(),
        label,
        chosen: seconds == first,
    };
    let mut offered: Vec<(i64, String)> = DURATIONS
        .into_iter()
        .filter(|(seconds, _)| *seconds <= longest)
        .map(|(seconds, label)| (seconds, label.to_owned()))
        .collect();
    if offered.last().is_none_or(|(seconds, _)| *seconds < longest) {
        offered.push((
            longest,
            if longest >= 60 { format!("{} min", longest / 60) } else { format!("{longest} s") },
        ));
    }
    let first =
        offered.iter().map(|(seconds, _)| *seconds).filter(|seconds| *seconds <= DURATION_FIRST).max();
    let first = first.unwrap_or(longest);
    offered.into_iter().map(|offer| choice(offer, first)).collect()
}

/// What may be agreed to where no task was described: what the client named, or everything but administration.
fn offered(asked: &Asked) -> BTreeSet<Effect> {
    if asked.effects.is_empty() { Effect::everyday() } else { asked.effects.clone() }
}

/// Effects, each of which can be left out.
fn effects(offered: &BTreeSet<Effect>) -> Vec<Choice> {
    let choice = |effect: &Effect| Choice {
        field: field(*effect),
        value: "yes".into(),
        label: label(*effect),
        chosen: true,
    };
    offered.iter().map(choice).collect()
}

fn field(effect: Effect) -> String {
    format!("effect_{effect}")
}

fn label(effect: Effect) -> String {
    format!("effect-{effect}")
}

/// The rules that a client asked for, read.
struct Read {
    tools: Vec<ToolRule>,
    resources: Vec<ResourceRule>,
    prompts: Vec<PromptRule>,
}

fn read(new: &NewTask) -> Result<Read, OAuthError> {
    Ok(Read {
        tools: rules("tools", &new.tools)?,
        resources: rules("resources", &new.resources)?,
        prompts: rules("prompts", &new.prompts)?,
    })
}

fn shown_rules(new: &NewTask) -> Result<Vec<Rule>, OAuthError> {
    let Read { tools, resources, prompts } = read(new)?;
    let tools = tools.iter().enumerate().map(|(at, rule)| Rule {
        field: format!("tool_{at}"),
        what: format!("{}/{}", pattern(&rule.server), pattern(&rule.tool)),
        constraints: rule
            .constraints
            .iter()
            .map(|constraint| format!("{}: {}", constraint.argument, constraint.rule))
            .collect(),
        effects: rule.effects.iter().flatten().map(|effect| label(*effect)).collect(),
    });
    let plain =
        |field: String, what: String| Rule { field, what, constraints: Vec::new(), effects: Vec::new() };
    let resources = resources.iter().enumerate().map(|(at, rule)| {
        let uri = match &rule.uri {
            UriRule::Exact(uri) => uri.clone(),
            UriRule::Prefix(prefix) => format!("{prefix}*"),
        };
        plain(format!("resource_{at}"), format!("{} / {uri}", pattern(&rule.server)))
    });
    let prompts = prompts.iter().enumerate();
    let prompts = prompts.map(|(at, rule)| {
        plain(format!("prompt_{at}"), format!("{}/{}", pattern(&rule.server), pattern(&rule.prompt)))
    });
    Ok(tools.chain(resources).chain(prompts).collect())
}

fn pattern(pattern: &Pattern) -> &str {
    match pattern {
        Pattern::Any => "*",
        Pattern::Exact(name) => name,
    }
}

/// The task as the person left it: never more than was asked, and never more than the blueprint admits.
fn task(
    form: &Form,
    asked: &Asked,
    limits: LimitsSpec,
    (seconds, calls): (i64, i64),
    now: Timestamp,
) -> Result<WantedTask, Unwanted> {
    let has = |field: String| form.get(&field).is_some();
    let most = most(asked, limits, now);
    if !(1..=most.seconds).contains(&seconds) || !(1..=most.calls).contains(&calls) {
        return Err(Unwanted::Form);
    }
    let (new, deadline) = (most.new, now.plus_seconds(seconds));
    let scope = if let Some(new) = new {
        let Read { tools, resources, prompts } = read(new).map_err(Unwanted::Client)?;
        Scope {
            tools: kept(tools, |at| has(format!("tool_{at}"))),
            resources: kept(resources, |at| has(format!("resource_{at}"))),
            prompts: kept(prompts, |at| has(format!("prompt_{at}"))),
            deadline,
        }
    } else {
        let kept = offered(asked).into_iter().filter(|effect| has(field(*effect)));
        Scope::of_effects(kept.collect(), deadline)
    };
    if scope.tools.is_empty() && scope.resources.is_empty() && scope.prompts.is_empty() {
        return Err(Unwanted::Nothing);
    }
    Ok(WantedTask {
        purpose: new.map_or_else(String::new, |new| new.purpose.clone()),
        instruction: new.and_then(|new| new.instruction.clone()),
        scope,
        calls_max: calls,
        bytes_max: most.bytes,
    })
}

fn kept<T>(all: Vec<T>, keeps: impl Fn(usize) -> bool) -> Vec<T> {
    all.into_iter().enumerate().filter(|(at, _)| keeps(*at)).map(|(_, one)| one).collect()
}

impl Unwanted {
    /// The refusal that the client gets, where it is the client's.
    pub(super) fn for_client(&self) -> Option<OAuthError> {
        match self {
            Self::Client(error) => Some(error.clone()),
            Self::Denied(why) => Some(OAuthError::new(ErrorCode::AccessDenied, why.clone())),
            Self::Nothing | Self::Form => None,
        }
    }
}

/// What an error of a service means to the client that waits for an answer.
pub(super) fn refusal_of(error: Error) -> OAuthError {
    let said = super::said::said(error);
    match said.code {
        // What the token endpoint calls a bad grant is a no here.
        ErrorCode::InvalidGrant | ErrorCode::UnauthorizedClient => {
            OAuthError::new(ErrorCode::AccessDenied, said.description)
        }
        _ => said,
    }
}
