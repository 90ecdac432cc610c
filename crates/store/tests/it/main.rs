//! The store on both databases.

mod batch;
mod kill;
mod opening;
mod sealing;
mod support;
mod transactions;
mod tree;
