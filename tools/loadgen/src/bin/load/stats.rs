//! What was measured: counts, latencies, errors by kind.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

pub(crate) struct Stats {
    pub(crate) total: Histogram<u64>,
    pub(crate) first: Histogram<u64>,
    pub(crate) n: u64,
    pub(crate) bytes: u64,
    pub(crate) secs: f64,
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Stats {
    pub(crate) fn new() -> Stats {
        let h = || Histogram::new_with_bounds(1, 120_000_000, 3).expect("histogram");
        Stats { total: h(), first: h(), n: 0, bytes: 0, secs: 0.0, errors: BTreeMap::new() }
    }
    pub(crate) fn add(&mut self, o: &Stats) {
        let _ = self.total.add(&o.total);
        let _ = self.first.add(&o.first);
        self.n += o.n;
        self.bytes += o.bytes;
        for (k, v) in &o.errors {
            *self.errors.entry(k.clone()).or_default() += v;
        }
    }
    pub(crate) fn rps(&self) -> f64 {
        self.n as f64 / self.secs.max(1e-9)
    }
    pub(crate) fn json(&self) -> Value {
        let q = |h: &Histogram<u64>, p: f64| h.value_at_quantile(p);
        json!({"n": self.n, "rps": r(self.rps()), "errors": self.errors.values().sum::<u64>(), "error_kinds": self.errors,
            "us": {"mean": r(self.total.mean()), "p50": q(&self.total, 0.5), "p95": q(&self.total, 0.95), "p99": q(&self.total, 0.99), "p999": q(&self.total, 0.999), "max": self.total.max()},
            "first_byte_us": {"p50": q(&self.first, 0.5), "p99": q(&self.first, 0.99)},
            "bytes_per_answer": self.bytes.checked_div(self.n).unwrap_or_default()})
    }
}

pub(crate) fn r(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}
