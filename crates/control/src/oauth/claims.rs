//! What tokens say about the stored task tree, and whether they still say what is stored.

use base::AnyId;

use crate::task::Task;

/// Who a token of this chain stands for (`sub`) and who acts (`act`, the current actor first).
///
/// `chain` begins with the token's own task and ends with the root, as
/// [`living_chain`](crate::snapshot::Snapshot::living_chain) gives it. With a person behind it the subject is the
/// person and every agent of the chain is an actor; without one the root's agent is the subject.
pub(crate) fn subject_and_actors(chain: &[&Task]) -> Option<(AnyId, Vec<AnyId>)> {
    let root = chain.last()?;
    let mut actors: Vec<AnyId> = chain.iter().map(|task| AnyId::from(&task.agent)).collect();
    let subject = match &root.person {
        Some(person) => AnyId::from(person),
        None => actors.pop()?,
    };
    Some((subject, actors))
}
