//! The log, exported, verified, damaged, and verified again.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use wire::tlog::{Report, VerifierKey, verify_export};

use crate::api_client::ApiClient;

/// The largest export that the demonstration reads, in bytes.
const EXPORT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The whole log as it can be verified offline.
pub(super) async fn export(admin: &ApiClient) -> anyhow::Result<Vec<u8>> {
    let mut pieces = admin.open(&admin.at(&["audit", "export"])).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await? {
        ensure!(bytes.len() + piece.len() <= EXPORT_BYTES_MAX, "the log is too large for a demonstration");
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Verifies an export by the key noted on the first day; it must be the whole log.
pub(super) fn verify(export: &[u8], key: &VerifierKey) -> anyhow::Result<Report> {
    let report = verify_export(export, Some(key))?;
    ensure!(report.from == 1 && report.to == report.size, "the export is not the whole log: {report:?}");
    Ok(report)
}

/// How many records there are of each kind.
pub(super) fn kinds(export: &[u8]) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    for (_, record) in records(export)? {
        let kind = record["kind"].as_str().context("a record without a kind")?;
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    Ok(kinds)
}

/// Changes one byte of the first record of this kind: in a copy, as somebody would who wants it to read otherwise.
/// Answers with the copy and the record's position.
pub(super) fn flip_byte(export: &[u8], kind: &str) -> anyhow::Result<(Vec<u8>, u64)> {
    let found = records(export)?.into_iter().find(|(_, record)| record["kind"] == kind);
    let Some((position, _)) = found else { bail!("the log has no record of kind {kind}") };
    let start =
        find(export, format!("{{\"position\":{position},").as_bytes()).context("the record's line")?;
    let at = start + find(&export[start..], kind.as_bytes()).context("the record's kind")?;
    let mut copy = export.to_vec();
    copy[at] ^= 0x20;
    Ok((copy, position))
}

fn records(export: &[u8]) -> anyhow::Result<Vec<(u64, Value)>> {
    let lines = export.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"{\"position\":"));
    lines
        .map(|line| {
            let mut line: Value = serde_json::from_slice(line)?;
            Ok((line["position"].as_u64().context("a record without a position")?, line["record"].take()))
        })
        .collect()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
