//! Joining: a request for a token that names no task gets the one that is open already.
//!
//! INVARIANT: limits and facts count per task, so asking for another token must not make another task. Whether there is
//! one is asked inside the transaction that would make it, so that two requests at once, on whatever nodes, end up in
//! the same task.

use base::{Ctx, Error, Event, EventKind};

use super::{
    model::{Task, TaskRefusal, TaskState},
    service::{TaskRequest, facts, plan},
    store,
};
use crate::control::Control;

impl Control {
    /// The open task that an agent works on for this person (or itself), below this parent (or none), because it named
    /// none; or a new one, made as asked.
    pub async fn join_task(&self, ctx: &Ctx, request: TaskRequest) -> Result<Task, Error> {
        let request = TaskRequest { joinable: true, ..request };
        if let Some(task) = self.open_task_of(ctx, &request) {
            return Ok(task);
        }
        let task = plan(&self.snapshot(), ctx, request.clone())?;
        let mut tx = self.store().begin(ctx).await?;
        let open = store::open_of_agent(&mut tx, &task.agent).await?;
        if let Some(found) = open.into_iter().rfind(|found| fits(found, &request, ctx)) {
            let position = tx.head().await?.position;
            tx.rollback().await?;
            self.settle(position).await;
            return Ok(found);
        }
        if let Some(parent) = &task.parent
            && !store::is_open(&mut tx, parent).await?
        {
            return Err(TaskRefusal::Over(parent.clone(), "ended").into());
        }
        store::insert(&mut tx, &task).await?;
        let event = Event::new(EventKind::TaskCreated, &task.id, facts(&task)?).within(task.id.clone());
        self.keep(tx, vec![event]).await?;
        Ok(task)
    }

    fn open_task_of(&self, ctx: &Ctx, request: &TaskRequest) -> Option<Task> {
        let known = self.snapshot();
        let open = known.tasks_of(&request.agent).filter(|task| fits(task, request, ctx));
        // Ids sort by creation: the newest, should there be several.
        open.max_by(|one, other| one.id.cmp(&other.id)).map(|task| Task::clone(task))
    }
}

fn fits(task: &Task, request: &TaskRequest, ctx: &Ctx) -> bool {
    task.joinable
        && task.state == TaskState::Open
        && task.scope.deadline > ctx.now
        && task.agent == request.agent
        && task.person == request.person
        && task.parent == request.parent
}
