//! The store on both databases.

mod batch;
mod opening;
mod sealing;
mod support;
mod transactions;
