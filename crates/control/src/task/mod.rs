//! Tasks: the unit of authority. One agent, for one person or itself, for one purpose, until a deadline.
//!
//! A task may have children; a child never covers more, lives longer or uses more than its parent, and ends with
//! it. What a task's agent may do is asked at each call of the whole chain up to the root.

mod agent;
mod join;
mod model;
mod service;
mod store;

pub(crate) use agent::taker;
pub use model::{Limits, Task, TaskRefusal, TaskState, child_depth, narrows};
pub use service::{TaskRequest, TaskView};
pub(crate) use service::{keep_new, plan, widen};
pub(crate) use store::{all_open, end, load_task, open_of, open_tasks};
