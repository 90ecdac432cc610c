//! Whether the time of an answer tells that an account exists.

use control::authenticator::Cost;
use tokio::time::Instant;

use super::browser::Browser;
use crate::app::{App, each_database};

/// Tries of each kind, with hashing that costs next to nothing: what is left is everything else.
const TRIES: usize = 250;
/// The same with hashing for real.
const TRIES_HASHED: usize = 400;
/// How many standard deviations of the test's statistic are no chance: fewer than one run in 10,000 is beyond by itself.
const DEVIATIONS_MAX: f64 = 4.0;
/// A difference that must be found, as a part of the answer's time; otherwise the test says nothing.
const FOUND: f64 = 0.25;

#[tokio::test]
async fn known_and_unknown_names_take_as_long() {
    each_database(|app| async move {
        app.populate().await;
        drop(app.arrived("ada").await);
        compare(&app, TRIES).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "takes a minute: part of `make verify`"]
async fn known_and_unknown_names_take_as_long_with_hashing_for_real() {
    each_database(|app| async move {
        app.populate().await;
        let app = app.second_node_with(|settings| settings.password_cost = Cost::default()).await;
        drop(app.arrived("ada").await);
        compare(&app, TRIES_HASHED).await;
    })
    .await;
}

async fn compare(app: &App, tries: usize) {
    // In turns, so that whatever else the machine does meets both alike; the first ones warm up.
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for turn in 0..tries + 10 {
        let order = if turn % 2 == 0 { ["ada", "eve"] } else { ["eve", "ada"] };
        for name in order {
            let took = wrong(app, name).await;
            if turn >= 10 {
                if name == "ada" { known.push(took) } else { unknown.push(took) }
            }
        }
    }
    let (of_known, of_unknown) = (median(&known), median(&unknown));
    let apart = deviations(&known, &unknown);
    assert!(apart.abs() < DEVIATIONS_MAX, "{apart:.2} deviations: {of_known:.3} and {of_unknown:.3} ms");
    let slower: Vec<f64> = unknown.iter().map(|took| took + FOUND * of_unknown).collect();
    let found = deviations(&slower, &unknown);
    assert!(found > DEVIATIONS_MAX, "the test would not find a quarter more: {found:.2}");
}

/// How long the refusal of a wrong password takes, in milliseconds.
async fn wrong(app: &App, name: &str) -> f64 {
    // Beyond the pace of tries.
    app.advance(30).await;
    let mut browser = Browser::default();
    let form = [("name", name), ("password", "wrong wrong wrong")];
    let began = Instant::now();
    let seen = browser.post(app, "/login", &form).await;
    let took = began.elapsed();
    assert_eq!(seen.status, 401, "{name}");
    took.as_secs_f64() * 1000.0
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The Mann-Whitney statistic of two samples, in standard deviations from what it is where both are of one distribution.
fn deviations(first: &[f64], second: &[f64]) -> f64 {
    let wins: f64 = first
        .iter()
        .flat_map(|mine| second.iter().map(move |other| mine.total_cmp(other)))
        .map(|order| match order {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    let (m, n) = (count(first), count(second));
    (wins - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}

fn count(samples: &[f64]) -> f64 {
    f64::from(u32::try_from(samples.len()).unwrap())
}
