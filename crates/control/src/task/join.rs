//! Joining: a request for a token that names no task gets the one that is open already.
//!
//! INVARIANT: limits and facts count per task, so asking for another token must not make another task. Whether there is
//! one is asked inside the transaction that would make it, so that two requests at once, on whatever nodes, end up in
//! the same task.

use ::store::Tx;
use base::{Ctx, Error, Fault, TokenId};

use super::{
    model::{Task, TaskState},
    service::TaskRequest,
    store,
};
use crate::{authority::Authority, control::Control, snapshot::Snapshot};

impl Control {
    /// The open task that an agent works on for this person (or itself), below this parent (or none), because it named
    /// none; or a new one, made as asked.
    pub async fn join_task(&self, by: &impl Authority, request: TaskRequest) -> Result<Task, Error> {
        let request = TaskRequest { joinable: true, ..request };
        match self.open_task_of(by.ctx(), &request) {
            Some(task) => Ok(task),
            None => self.create_task(by, request).await,
        }
    }

    fn open_task_of(&self, ctx: &Ctx, request: &TaskRequest) -> Option<Task> {
        let known = self.snapshot();
        let source = source(&known, request);
        let open = known.tasks_of(&request.agent).filter(|task| fits(task, request, source.as_ref(), ctx));
        // Ids sort by creation: the newest, should there be several.
        open.max_by(|one, other| one.id.cmp(&other.id)).map(|task| Task::clone(task))
    }
}

/// The open task that a request joins, as the database has it.
pub(super) async fn open_task(
    tx: &mut Tx,
    ctx: &Ctx,
    request: &TaskRequest,
    source: Option<&TokenId>,
) -> Result<Option<Task>, Fault> {
    let open = store::open_of_agent(tx, &request.agent).await?;
    Ok(open.into_iter().rfind(|found| fits(found, request, source, ctx)))
}

/// The API token by which a person delegates with this request.
fn source(known: &Snapshot, request: &TaskRequest) -> Option<TokenId> {
    request.source.and_then(|digest| known.api_tokens.get(&digest)).map(|token| token.id.clone())
}

/// SECURITY: only what was delegated by the same API token is joined. The task of another would outlive the token that
/// is shown now, and one whose token was revoked is over.
fn fits(task: &Task, request: &TaskRequest, source: Option<&TokenId>, ctx: &Ctx) -> bool {
    task.joinable
        && task.state == TaskState::Open
        && task.scope.deadline > ctx.now
        && task.agent == request.agent
        && task.person == request.person
        && task.parent == request.parent
        && task.source.as_ref() == source
}
