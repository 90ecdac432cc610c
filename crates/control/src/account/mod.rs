//! My access: what a person has, what they let others do, what was done in their name, and how they take it back.

mod calls;
mod change;
pub mod http;
