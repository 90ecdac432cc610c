//! Load generator. One persistent HTTP/1.1 connection (and, in MCP mode, one session) per worker.
//! Alternates slices of the target and of a control endpoint, so that noise from other work on the
//! machine shows up in both, and prints one JSON object with absolute figures and ratios.
//!
//! load --url http://127.0.0.1:9000/mcp --mode mcp --concurrency 16 --slice 2 --rounds 3
//!      [--control http://127.0.0.1:9000/ping]
//!      [--bearer TOKEN | --bearer-file FILE [--dpop-key PKCS8_PEM] | --bearers-file FILE] [--header 'k: v']...
//!      (--bearers-file: a token per line, each sent once; --dpop-key: a proof for each request, RFC 9449)
//!      mcp:  [--tool echo] [--args '{"message":"hi"}'] [--protocol 2025-06-18] [--no-init]
//!      http: [--method POST] [--body TEXT | --body-file FILE] [--content-type T] [--new-conn]
//!      [--expect SUBSTRING]   an answer without it is an error
//!      [--expect-status N]    counts N as success (default: any 2xx)
//!      [--rate R]             open loop: R requests/s in all, latency from the intended start
//!      [--pid P]...           adds CPU time and memory of these processes (and their children)
//!      [--label TEXT] [--threads N] [--text]
//! Exit 1 when an answer was wrong or none came (unless --allow-errors), 2 when the run could not start.

mod credential;
mod slice;
mod stats;
mod target;
mod usage;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loadgen::{Flags, fail};
use serde_json::{Value, json};

use credential::{Credential, Proofs};
use slice::{prepare, slice};
use stats::{Stats, r};
use target::{Kind, Target};
use usage::{machine, usage};

const SWITCHES: &[&str] = &["no-init", "new-conn", "text", "allow-errors"];
const FLAGS: &[&str] = &[
    "url",
    "mode",
    "concurrency",
    "slice",
    "rounds",
    "warmup",
    "control",
    "bearer",
    "bearer-file",
    "bearers-file",
    "dpop-key",
    "header",
    "tool",
    "args",
    "protocol",
    "method",
    "body",
    "body-file",
    "content-type",
    "expect",
    "expect-status",
    "rate",
    "pid",
    "label",
    "threads",
];

fn main() {
    let flags = Flags::parse(SWITCHES, FLAGS);
    let plan = Plan::from(&flags);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(flags.num("threads", 1))
        .enable_all()
        .build()
        .expect("runtime");
    let measured = runtime.block_on(plan.run());
    let report = measured.report(&plan, &flags.str("label", ""));
    if flags.has("text") {
        print_line(&report);
    } else {
        println!("{report}");
    }
    if (report["target"]["errors"] != 0 || measured.target.n == 0) && !flags.has("allow-errors") {
        eprintln!("error: {} wrong answers, {} right ones", report["target"]["errors"], measured.target.n);
        std::process::exit(1);
    }
}

/// What to do, from the flags.
struct Plan {
    target: Arc<Target>,
    control: Option<Arc<Target>>,
    concurrency: usize,
    slice: Duration,
    warmup: Duration,
    rounds: usize,
    /// Requests per second in all; 0 is a closed loop.
    rate: f64,
    pids: Vec<u32>,
}

impl Plan {
    fn from(flags: &Flags) -> Plan {
        let get = |url: String| {
            Arc::new(Target::at(
                &url,
                Kind::Http { method: "GET".into(), body: Bytes::new(), ctype: String::new() },
            ))
        };
        Plan {
            target: Arc::new(target(flags)),
            control: flags.opt("control").map(get),
            concurrency: flags.num("concurrency", 1),
            slice: Duration::from_secs_f64(flags.num("slice", 2.0)),
            warmup: Duration::from_secs_f64(flags.num("warmup", 0.5)),
            rounds: flags.num("rounds", 3),
            rate: flags.num("rate", 0.0),
            pids: flags.all("pid").iter().map(|pid| pid.parse().unwrap_or_else(|_| fail("--pid"))).collect(),
        }
    }

    /// Warms up, then alternates slices of the control and of the target.
    async fn run(&self) -> Measured {
        let mut workers = prepare(self.concurrency, &self.target).await;
        let mut controls = match &self.control {
            Some(control) => prepare(self.concurrency, control).await,
            None => vec![],
        };
        (workers, _) = slice(workers, self.target.clone(), self.warmup, 0.0).await;
        let mut measured = Measured::new();
        let before = machine();
        for _ in 0..self.rounds {
            let mut reference = None;
            if let Some(control) = &self.control {
                let stats;
                (controls, stats) = slice(controls, control.clone(), self.slice / 2, 0.0).await;
                measured.control.add(&stats);
                measured.control.secs += stats.secs;
                reference = Some(stats);
            }
            let used = usage(&self.pids).0;
            let stats;
            (workers, stats) = slice(workers, self.target.clone(), self.slice, self.rate).await;
            measured.cpu_seconds += usage(&self.pids).0 - used;
            measured.round(&stats, reference.as_ref());
        }
        let after = machine();
        measured.busy = (after.0 - before.0) / (after.1 - before.1).max(1.0);
        measured.reconnects = workers.iter().map(|worker| worker.reconnects).sum();
        measured
    }
}

fn target(flags: &Flags) -> Target {
    let url = flags.opt("url").unwrap_or_else(|| fail("--url is needed"));
    let mut target = Target::at(&url, kind(flags));
    for header in flags.all("header") {
        let (name, value) = header.split_once(':').unwrap_or_else(|| fail("--header wants 'name: value'"));
        target.headers.push((name.trim().into(), value.trim().into()));
    }
    target.credential = credential(flags);
    target.expect = flags.opt("expect");
    target.status =
        flags.opt("expect-status").map(|text| text.parse().unwrap_or_else(|_| fail("--expect-status")));
    target.new_conn = flags.has("new-conn");
    target
}

fn credential(flags: &Flags) -> Credential {
    if let Some(path) = flags.opt("bearers-file") {
        return Credential::each(&read(&path));
    }
    let token =
        flags.opt("bearer").or_else(|| flags.opt("bearer-file").map(|path| read(&path).trim().to_string()));
    match (token, flags.opt("dpop-key")) {
        (None, None) => Credential::None,
        (None, Some(_)) => fail("--dpop-key is for the token of --bearer-file"),
        (Some(token), None) => Credential::Bearer(token),
        (Some(token), Some(path)) => {
            let proofs = Proofs::new(&read(&path), &token);
            Credential::Dpop { token, proofs }
        }
    }
}

fn kind(flags: &Flags) -> Kind {
    match flags.str("mode", "http").as_str() {
        "mcp" => Kind::Mcp {
            tool: flags.str("tool", "echo"),
            args: serde_json::from_str(&flags.str("args", r#"{"message":"hello"}"#))
                .unwrap_or_else(|error| fail(&format!("--args: {error}"))),
            protocol: flags.str("protocol", "2025-06-18"),
            init: !flags.has("no-init"),
        },
        "http" => {
            let body = flags.opt("body-file").map_or_else(|| flags.str("body", ""), |path| read(&path));
            let method = flags.str("method", if body.is_empty() { "GET" } else { "POST" });
            Kind::Http { method, body: body.into(), ctype: flags.str("content-type", "application/json") }
        }
        other => fail(&format!("--mode {other}: http or mcp")),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| fail(&format!("{path}: {error}")))
}

/// What came of it.
struct Measured {
    target: Stats,
    control: Stats,
    /// Per round: rate of the target, its ratio to the control, its median latency minus the control's.
    rates: Vec<f64>,
    ratios: Vec<f64>,
    added_us: Vec<f64>,
    cpu_seconds: f64,
    /// Share of the machine that was busy.
    busy: f64,
    reconnects: u64,
}

impl Measured {
    fn new() -> Measured {
        Measured {
            target: Stats::new(),
            control: Stats::new(),
            rates: vec![],
            ratios: vec![],
            added_us: vec![],
            cpu_seconds: 0.0,
            busy: 0.0,
            reconnects: 0,
        }
    }

    fn round(&mut self, stats: &Stats, reference: Option<&Stats>) {
        self.target.add(stats);
        self.target.secs += stats.secs;
        self.rates.push(stats.rps());
        if let Some(reference) = reference {
            let median = |stats: &Stats| stats.total.value_at_quantile(0.5) as f64;
            self.ratios.push(stats.rps() / reference.rps().max(1e-9));
            self.added_us.push(median(stats) - median(reference));
        }
    }

    fn report(&self, plan: &Plan, label: &str) -> Value {
        let least = self.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.rates.iter().copied().fold(0.0, f64::max);
        let mut report = json!({
            "label": label, "concurrency": plan.concurrency, "rounds": plan.rounds,
            "slice_s": plan.slice.as_secs_f64(), "target": self.target.json(),
            "median_rps": r(median(&self.rates)), "rps_min": r(least), "rps_max": r(most),
            "reconnects": self.reconnects, "machine_busy": r(self.busy),
        });
        if plan.control.is_some() {
            report["control"] = self.control.json();
            report["ratio_to_control"] = json!((median(&self.ratios) * 10000.0).round() / 10000.0);
            report["p50_minus_control_us"] = json!(median(&self.added_us));
        }
        if !plan.pids.is_empty() {
            let (_, rss, peak) = usage(&plan.pids);
            report["process"] = json!({
                "cpu_s": r(self.cpu_seconds),
                "cpu_us_per_answer": r(self.cpu_seconds * 1e6 / self.target.n.max(1) as f64),
                "rss_mib": r(rss as f64 / 1024.0), "peak_rss_mib": r(peak as f64 / 1024.0),
            });
        }
        report
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn print_line(report: &Value) {
    let (target, process) = (&report["target"], &report["process"]);
    println!(
        "{:<34} c={:<3} rps={:<9} ratio={:<7} p50={} p99={} us err={} cpu/ans={} rss={} peak={} busy={}",
        report["label"].as_str().unwrap_or_default(),
        report["concurrency"].as_u64().unwrap_or_default(),
        target["rps"],
        report["ratio_to_control"],
        target["us"]["p50"],
        target["us"]["p99"],
        target["errors"],
        process["cpu_us_per_answer"],
        process["rss_mib"],
        process["peak_rss_mib"],
        report["machine_busy"],
    );
    if target["errors"] != 0 {
        println!("   {}", target["error_kinds"]);
    }
}
