//! A slice of load: all workers against one target for some time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use loadgen::fail;

use crate::stats::Stats;
use crate::target::Target;
use crate::worker::Worker;

pub(crate) async fn slice(
    workers: Vec<Worker>,
    t: Arc<Target>,
    dur: Duration,
    rate: f64,
) -> (Vec<Worker>, Stats) {
    let c = workers.len();
    let begin = Instant::now();
    let end = begin + dur;
    let mut set = Vec::new();
    for (i, mut w) in workers.into_iter().enumerate() {
        let t = t.clone();
        set.push(tokio::spawn(async move {
            let mut s = Stats::new();
            let step = if rate > 0.0 { Some(Duration::from_secs_f64(c as f64 / rate)) } else { None };
            let mut due = begin + step.unwrap_or_default().mul_f64(i as f64 / c as f64);
            loop {
                let mut lag = Duration::ZERO;
                if let Some(st) = step {
                    let now = Instant::now();
                    if due > now {
                        tokio::time::sleep(due - now).await;
                    }
                    lag = Instant::now().saturating_duration_since(due);
                    due += st;
                }
                if Instant::now() >= end {
                    break;
                }
                match w.one(&t).await {
                    Ok(x) => {
                        if Instant::now() <= end {
                            s.n += 1;
                            s.bytes += x.bytes as u64;
                            let _ = s.total.record(((x.total + lag).as_micros() as u64).max(1));
                            let _ = s.first.record(((x.first + lag).as_micros() as u64).max(1));
                        }
                    }
                    Err(e) => {
                        *s.errors.entry(e).or_default() += 1;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            }
            (w, s)
        }));
    }
    let mut out = Stats::new();
    let mut ws = Vec::new();
    for h in set {
        let (w, s) = h.await.expect("worker");
        out.add(&s);
        ws.push(w);
    }
    out.secs = dur.as_secs_f64();
    (ws, out)
}

pub(crate) async fn prepare(c: usize, t: &Arc<Target>) -> Vec<Worker> {
    let mut hs = Vec::new();
    for _ in 0..c {
        let t = t.clone();
        hs.push(tokio::spawn(async move {
            let mut w = Worker::new();
            let res = w.prepare(&t).await;
            (w, res)
        }));
    }
    let mut out = Vec::new();
    for h in hs {
        let (w, res) = h.await.expect("prepare");
        if let Err(e) = res {
            fail(&format!("session set-up: {e}"));
        }
        out.push(w);
    }
    out
}
