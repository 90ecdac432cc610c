//! The tree against an obvious model, published vectors, and exports that somebody has touched.

use base64::Engine as _;
use proptest::prelude::*;

use super::*;

const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
/// The roots of the first 0 to 8 of them, as Certificate Transparency's own tests give them.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// MTH of RFC 6962, word for word.
fn model_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        many => {
            let mut left = 1;
            while left * 2 < many.len() {
                left *= 2;
            }
            node_hash(&model_root(&many[..left]), &model_root(&many[left..]))
        }
    }
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn tiles(leaves: &[Hash]) -> Tiles {
    let mut tiles = Tiles::new();
    tiles.append(0, leaves);
    tiles
}

fn frontier(leaves: &[Hash]) -> Frontier {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier
}

#[test]
fn published_roots() {
    let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(hex::encode(frontier(&leaves[..size]).root()), *root, "{size} leaves");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_ways_to_a_root_agree(count in 0_u64..1500) {
        let leaves = leaves(count);
        let root = model_root(&leaves);
        let frontier = frontier(&leaves);
        prop_assert_eq!(frontier.root(), root);
        let tiles = tiles(&leaves);
        prop_assert_eq!(tree_root(count, &mut |node| tiles.node(node)), Ok(root));
        let peaks = frontier.peaks().to_vec();
        prop_assert_eq!(Frontier::from_peaks(count, peaks), Some(frontier));
    }

    /// Appending in pieces, each time from the edge alone, gives the tiles of appending at once.
    #[test]
    fn the_edge_is_enough_to_go_on(cuts in prop::collection::vec(0_u64..400, 1..6)) {
        let total = cuts.iter().sum();
        let leaves = leaves(total);
        let whole = tiles(&leaves);
        let (mut kept, mut size) = (Tiles::new(), 0);
        for cut in cuts {
            let mut working = Tiles::new();
            for tile in Tiles::edge(size) {
                working.insert(tile, kept.get(tile).unwrap().to_vec());
            }
            let (from, to) = (usize::try_from(size).unwrap(), usize::try_from(size + cut).unwrap());
            for tile in working.append(size, &leaves[from..to]) {
                kept.insert(tile, working.get(tile).unwrap().to_vec());
            }
            size += cut;
            for tile in Tiles::edge(size) {
                let width = usize::from(tile.width(size));
                prop_assert_eq!(kept.get(tile).unwrap(), &whole.get(tile).unwrap()[..width]);
            }
        }
        prop_assert_eq!(tree_root(total, &mut |node| kept.node(node)), Ok(model_root(&leaves)));
    }

    #[test]
    fn inclusion_holds_for_the_leaf_and_nothing_else(count in 1_u64..1200, pick in any::<u64>(), flip in any::<u64>()) {
        let leaves = leaves(count);
        let (root, tiles) = (model_root(&leaves), tiles(&leaves));
        let index = pick % count;
        let leaf = leaves[usize::try_from(index).unwrap()];
        let mut proof = inclusion_proof(index, count, &mut |node| tiles.node(node)).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf, index, count, &proof, &root), Ok(()));
        prop_assert!(verify_inclusion(&leaf_hash(b"other"), index, count, &proof, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, (index + 1) % count, count, &proof, &root).is_err() || count == 1);
        prop_assert!(verify_inclusion(&leaf, index, count, &proof, &EMPTY_ROOT).is_err());
        proof.push(leaf);
        prop_assert_eq!(verify_inclusion(&leaf, index, count, &proof, &root), Err(ProofError::Length));
        proof.pop();
        if !proof.is_empty() {
            let place = usize::try_from(flip % proof.len() as u64).unwrap();
            proof[place][0] ^= 1;
            prop_assert_eq!(verify_inclusion(&leaf, index, count, &proof, &root), Err(ProofError::Root));
            proof.pop();
            prop_assert!(verify_inclusion(&leaf, index, count, &proof, &root).is_err());
        }
    }

    #[test]
    fn consistency_holds_between_sizes_and_nowhere_else(count in 1_u64..1200, pick in any::<u64>(), flip in any::<u64>()) {
        let leaves = leaves(count);
        let (root, tiles) = (model_root(&leaves), tiles(&leaves));
        let old = pick % (count + 1);
        let old_root = model_root(&leaves[..usize::try_from(old).unwrap()]);
        let mut proof = consistency_proof(old, count, &mut |node| tiles.node(node)).unwrap();
        prop_assert_eq!(verify_consistency(old, count, &proof, &old_root, &root), Ok(()));
        prop_assert!(verify_consistency(old, count, &proof, &leaf_hash(b"x"), &root).is_err());
        if old > 0 {
            prop_assert!(verify_consistency(old, count, &proof, &old_root, &leaf_hash(b"x")).is_err());
        }
        if !proof.is_empty() {
            let place = usize::try_from(flip % proof.len() as u64).unwrap();
            proof[place][31] ^= 0x80;
            prop_assert!(verify_consistency(old, count, &proof, &old_root, &root).is_err());
            proof.clear();
            prop_assert!(verify_consistency(old, count, &proof, &old_root, &root).is_err());
        }
    }

    #[test]
    fn paths_round_trip(level in 0_u8..64, index in any::<u64>(), width in 1_u16..=256) {
        for path in [TilePath::Hashes { tile: Tile { level, index }, width }, TilePath::Entries { index, width }] {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn no_text_panics_a_parser(text in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = text.parse::<TilePath>();
        let _ = text.parse::<VerifierKey>();
        let _ = SignedNote::parse(&text);
        let _ = OfflineProof::parse(&text);
        let _ = read_bundle(&bytes);
        prop_assert!(verify_export(&bytes[..], None).is_err());
    }

    #[test]
    fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
        let bundle = write_bundle(entries.iter().map(Vec::as_slice)).unwrap();
        prop_assert_eq!(read_bundle(&bundle).unwrap(), entries);
        if let [cut @ .., _] = bundle.as_slice() {
            prop_assert!(read_bundle(cut).is_err() || read_bundle(cut).unwrap().len() < bundle.len());
        }
    }
}

#[test]
fn paths_are_those_of_the_specification() {
    for (text, path) in [
        ("tile/0/x001/x234/067", TilePath::Hashes { tile: Tile { level: 0, index: 1_234_067 }, width: 256 }),
        ("tile/1/003.p/12", TilePath::Hashes { tile: Tile { level: 1, index: 3 }, width: 12 }),
        ("tile/entries/000.p/1", TilePath::Entries { index: 0, width: 1 }),
        ("tile/entries/x001/000", TilePath::Entries { index: 1000, width: 256 }),
    ] {
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
    }
    for text in [
        "tile/0/67",
        "tile/00/067",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/012",
        "tile/0/x000/067",
        "tile/0/001/067",
        "tile/0/x067",
        "tile/-1/000",
        "tile/+1/000",
        "tile/entries/",
        "tile/0",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/x099/999/999",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(text.parse::<TilePath>().is_err(), "{text}");
    }
}

/// The example of Go's `sumdb/note`; Ed25519 is deterministic, so signing must give the same bytes.
#[test]
fn notes_are_those_of_other_implementations() {
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let note = format!(
        "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    );
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let seed = base64::engine::general_purpose::STANDARD
        .decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
        .unwrap();
    let signer = NoteSigner::from_seed("PeterNeumann", seed[1..].try_into().unwrap()).unwrap();
    assert_eq!(signer.verifier().to_string(), vkey);
    assert_eq!(signer.sign(text).unwrap(), note);
    let key: VerifierKey = vkey.parse().unwrap();
    assert_eq!(SignedNote::parse(&note).unwrap().verify(&key), Ok(text));
    let forged = note.replace("cryptography", "cryptographY");
    assert!(matches!(SignedNote::parse(&forged).unwrap().verify(&key), Err(NoteError::Forged(_))));
    let others = NoteSigner::from_seed("PeterNeumann", &[1; 32]).unwrap();
    assert!(matches!(
        SignedNote::parse(&note).unwrap().verify(others.verifier()),
        Err(NoteError::Unsigned(_))
    ));
    for cut in 1..vkey.len() {
        assert!(vkey[..cut].parse::<VerifierKey>().is_err() && vkey[cut..].parse::<VerifierKey>().is_err());
    }
}

fn signer() -> NoteSigner {
    NoteSigner::from_seed("writ.example/log", &[7; 32]).unwrap()
}

#[test]
fn checkpoints_have_one_spelling() {
    let signer = signer();
    let checkpoint = Checkpoint { origin: "writ.example/log".into(), size: 10, root: [3; 32] };
    let note = checkpoint.sign(&signer).unwrap();
    assert_eq!(Checkpoint::verify(&note, signer.verifier()), Ok(checkpoint.clone()));
    for text in [
        checkpoint.text().replace("\n10\n", "\n010\n"),
        checkpoint.text().replace("\n10\n", "\n+10\n"),
        checkpoint.text() + "extension\n",
        checkpoint.text().replace("writ.example/log", "other.example/log"),
        "writ.example/log\n10\n".into(),
    ] {
        let note = signer.sign(&text).unwrap();
        assert!(Checkpoint::verify(&note, signer.verifier()).is_err(), "{text}");
    }
}

#[test]
fn an_offline_proof_holds_for_its_entry_only() {
    let bodies: Vec<String> = (0..700).map(|number| format!("{{\"n\":{number}}}")).collect();
    let leaves: Vec<Hash> = bodies.iter().map(|body| leaf_hash(body.as_bytes())).collect();
    let tiles = tiles(&leaves);
    let signer = signer();
    let checkpoint = Checkpoint { origin: "writ.example/log".into(), size: 700, root: model_root(&leaves) };
    let proof = OfflineProof {
        index: 513,
        path: inclusion_proof(513, 700, &mut |node| tiles.node(node)).unwrap(),
        checkpoint: checkpoint.sign(&signer).unwrap(),
    };
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 513\n"));
    assert_eq!(OfflineProof::parse(&text), Ok(proof.clone()));
    assert_eq!(OfflineProof::parse(&text.replacen("index", "extra AAAA\nindex", 1)), Ok(proof.clone()));
    assert_eq!(proof.verify(bodies[513].as_bytes(), signer.verifier()), Ok(checkpoint));
    assert!(proof.verify(bodies[512].as_bytes(), signer.verifier()).is_err());
    let other = NoteSigner::from_seed("writ.example/log", &[8; 32]).unwrap();
    assert!(proof.verify(bodies[513].as_bytes(), other.verifier()).is_err());
}

/// An export of the positions `from..=to` of a log of `size` small records.
fn export(from: u64, to: u64, size: u64) -> String {
    let body = |position: u64| format!("{{\"kind\":\"node.started\",\"position\":{position},\"v\":1}}");
    let leaves: Vec<Hash> = (1..=size).map(|position| leaf_hash(body(position).as_bytes())).collect();
    let tiles = tiles(&leaves);
    let signer = signer();
    let origin = signer.verifier().name().to_owned();
    let checkpoint = Checkpoint { origin: origin.clone(), size, root: model_root(&leaves) };
    let mut out = export::Header::new(origin, signer.verifier().to_string(), from, to).line();
    out.push_str(&export::checkpoint_line(&checkpoint.sign(&signer).unwrap()));
    for step in export::plan(from, to, size) {
        match step {
            export::Step::Edge(tile) | export::Step::Tile(tile) => {
                out.push_str(&export::tile_line(step, tiles.get(tile).unwrap()).unwrap());
            }
            export::Step::Records { first, last } => {
                (first..=last)
                    .for_each(|position| out.push_str(&export::record_line(position, &body(position))));
            }
        }
    }
    out
}

#[test]
fn exports_of_all_shapes_verify() {
    for (from, to, size) in [
        (1, 1, 1),
        (1, 255, 255),
        (1, 256, 256),
        (1, 257, 257),
        (1, 700, 700),
        (200, 300, 700),
        (300, 301, 66_000),
        (65_530, 66_000, 66_000),
    ] {
        let text = export(from, to, size);
        let report = verify_export(text.as_bytes(), Some(signer().verifier())).unwrap();
        assert_eq!((report.from, report.to, report.size, report.records), (from, to, size, to - from + 1));
    }
}

#[test]
fn a_change_is_found_at_its_line() {
    let text = export(1, 700, 700);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let verify = |text: &str| verify_export(text.as_bytes(), None).expect_err("a changed export");

    let record = lines.iter().position(|line| line.starts_with("{\"position\":300,")).unwrap();
    let mut changed: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    changed[record] = changed[record].replace("node.started", "node.Started");
    let error = verify(&changed.concat());
    assert_eq!((error.line, error.position), (record as u64 + 1, Some(300)));

    let mut missing = lines.clone();
    missing.remove(record);
    let error = verify(&missing.concat());
    assert_eq!((error.line, error.position), (record as u64 + 1, Some(300)));

    let mut swapped = lines.clone();
    swapped.swap(record, record + 1);
    assert_eq!(verify(&swapped.concat()).position, Some(300));

    assert_eq!(verify(&lines[..lines.len() - 1].concat()).position, Some(700));
    assert_eq!(verify(&format!("{text}\n")).line, lines.len() as u64 + 1);
    assert!(verify(text.trim_end()).reason.contains("cut off"));

    // Whoever changes a record together with its leaf hash is found at the tile.
    let forged = export(1, 700, 700).replace("\"position\":300,\"v\":1", "\"position\":300,\"v\":2");
    let body = "{\"kind\":\"node.started\",\"position\":300,\"v\":2}";
    let tile_at =
        forged.lines().position(|line| line.starts_with("{\"tile\":{\"level\":0,\"index\":1,")).unwrap();
    let mut relined: Vec<String> = forged.split_inclusive('\n').map(str::to_owned).collect();
    let mut hashes = tiles(
        &(1..=700_u64)
            .map(|p| leaf_hash(format!("{{\"kind\":\"node.started\",\"position\":{p},\"v\":1}}").as_bytes()))
            .collect::<Vec<_>>(),
    )
    .get(Tile { level: 0, index: 1 })
    .unwrap()
    .to_vec();
    hashes[299 - 256] = leaf_hash(body.as_bytes());
    relined[tile_at] = export::tile_line(export::Step::Tile(Tile { level: 0, index: 1 }), &hashes).unwrap();
    let error = verify(&relined.concat());
    assert_eq!((error.line, error.position), (tile_at as u64 + 1, Some(257)));
}

/// A few hundred random changes of single bytes, and then of whole lines: every one is found, and none later than
/// at its own line.
#[test]
fn a_line_that_was_taken_out_is_named() {
    let text = export(1, 12, 12);
    let without = |positions: std::ops::RangeInclusive<u64>| {
        let is_one =
            |line: &&str| positions.clone().any(|at| line.starts_with(&format!("{{\"position\":{at},")));
        let kept: String = text.split_inclusive('\n').filter(|line| !is_one(line)).collect();
        verify_export(kept.as_bytes(), None).expect_err("a line is missing")
    };
    let one = without(5..=5);
    assert_eq!(one.position, Some(5));
    assert_eq!(one.reason, "record 5 is missing: the line is that of record 6");
    assert_eq!(without(5..=7).reason, "records 5 to 7 are missing: the line is that of record 8");
    assert!(without(12..=12).reason.contains("ends where"));
    let twice = text.replacen("{\"position\":6,", "{\"position\":5,", 1);
    let twice = verify_export(twice.as_bytes(), None).expect_err("a record twice");
    assert_eq!(twice.reason, "the line is that of record 5, which stood before");
}

#[test]
fn random_mutations_are_all_found() {
    let text = export(1, 600, 600).into_bytes();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..600 {
        let mut changed = text.clone();
        let at = usize::try_from(random() % text.len() as u64).unwrap();
        match round % 3 {
            0 => changed[at] ^= 1 << (random() % 8),
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, text[at].wrapping_add(1)),
        }
        let line = 1 + text[..at].split(|&byte| byte == b'\n').count() as u64 - 1;
        let error = verify_export(&changed[..], None).expect_err("a changed export");
        // A changed range in the header shows only where records are missing; a lost newline shows one line on.
        assert!(error.line <= line + 1 || line == 1, "byte {at} of line {line}: {error}");
    }
}
