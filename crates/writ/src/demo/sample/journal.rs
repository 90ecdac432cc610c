//! What reached the sample server, in order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use serde_json::Value;

/// Later arrivals are counted and not kept.
const ENTRIES_MAX: usize = 10_000;

/// A tool call that arrived.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrived {
    /// The tool's name.
    pub(crate) tool: String,
    /// Its arguments.
    pub(crate) arguments: Value,
    /// The request as it came, byte by byte: numbers keep their spelling here.
    pub(crate) body: String,
}

/// What reached the server: calls, headers, open streams.
#[derive(Default)]
pub(crate) struct Journal {
    calls: Mutex<Vec<Arrived>>,
    calls_total: AtomicUsize,
    headers: Mutex<BTreeSet<(String, String)>>,
    open_streams: AtomicUsize,
}

impl Journal {
    /// The calls that arrived, first one first; at most 10,000 are kept.
    pub(crate) fn calls(&self) -> Vec<Arrived> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls arrived, kept or not.
    pub(crate) fn calls_total(&self) -> usize {
        self.calls_total.load(Ordering::SeqCst)
    }

    /// Whether any header of any request held `text`, such as a token that must not travel.
    pub(crate) fn saw_in_headers(&self, text: &str) -> bool {
        let headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        headers.iter().any(|(_, value)| value.contains(text))
    }

    /// The names of all headers that any request carried, in lower case.
    pub(crate) fn header_names(&self) -> BTreeSet<String> {
        let headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        headers.iter().map(|(name, _)| name.clone()).collect()
    }

    /// How many answers are being streamed right now.
    pub(crate) fn open_streams(&self) -> usize {
        self.open_streams.load(Ordering::SeqCst)
    }

    pub(super) fn call(&self, tool: &str, arguments: &Value, body: &str) {
        self.calls_total.fetch_add(1, Ordering::SeqCst);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < ENTRIES_MAX {
            calls.push(Arrived {
                tool: tool.to_owned(),
                arguments: arguments.clone(),
                body: body.to_owned(),
            });
        }
    }

    pub(super) fn headers(&self, map: &HeaderMap) {
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in map {
            if headers.len() < ENTRIES_MAX {
                headers.insert((
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                ));
            }
        }
    }

    pub(super) fn stream_opened(&self) {
        self.open_streams.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn stream_closed(&self) {
        self.open_streams.fetch_sub(1, Ordering::SeqCst);
    }
}
