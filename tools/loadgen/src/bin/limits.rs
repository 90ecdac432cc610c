//! Physical limits of this machine, single thread: signatures, hashes, durable appends.
//! limits --dir DIR --seconds 1
use loadgen::{Flags, Key};
use ring::{digest, signature};
use std::io::Write;
use std::time::{Duration, Instant};

fn rate(name: &str, secs: f64, mut f: impl FnMut()) {
    for _ in 0..3 {
        f();
    }
    let (start, mut n) = (Instant::now(), 0u64);
    let mut lat = Vec::new();
    while start.elapsed() < Duration::from_secs_f64(secs) {
        let s = Instant::now();
        f();
        lat.push(s.elapsed().as_nanos() as u64);
        n += 1;
    }
    lat.sort_unstable();
    println!(
        "{name:<44} {:>12.0} /s   p50 {:>9.2} us   p99 {:>9.2} us",
        n as f64 / start.elapsed().as_secs_f64(),
        lat[lat.len() / 2] as f64 / 1e3,
        lat[lat.len() * 99 / 100] as f64 / 1e3
    );
}

fn main() {
    let f = Flags::parse(&[], &["dir", "seconds"]);
    let s: f64 = f.num("seconds", 1.0);
    let dir = f.str("dir", ".");
    let msg = vec![7u8; 400];
    for alg in ["EdDSA", "ES256"] {
        let (_, k) = Key::generate(alg);
        rate(&format!("{alg} sign 400 B"), s, || {
            std::hint::black_box(k.sign(&msg));
        });
        let sig = k.sign(&msg);
        let v: &dyn signature::VerificationAlgorithm =
            if alg == "EdDSA" { &signature::ED25519 } else { &signature::ECDSA_P256_SHA256_FIXED };
        let p = signature::UnparsedPublicKey::new(v, k.public());
        rate(&format!("{alg} verify 400 B"), s, || p.verify(&msg, &sig).expect("verify"));
        let claims = serde_json::json!({"iss":"https://as.example","sub":"agent-1","aud":"mcp","act":{"sub":"agent-2"},"scope":"tools:call","exp":1,"iat":1,"jti":"x"});
        rate(&format!("{alg} whole JWT mint"), s, || {
            std::hint::black_box(k.jwt("k1", &claims));
        });
    }
    let hk = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[1; 32]);
    rate("HMAC-SHA256 400 B", s, || {
        std::hint::black_box(ring::hmac::sign(&hk, &msg));
    });
    rate("SHA-256 400 B (hash-chain link)", s, || {
        std::hint::black_box(digest::digest(&digest::SHA256, &msg));
    });
    let path = format!("{dir}/limits.tmp");
    let mut file = std::fs::File::create(&path).expect("file");
    let rec = vec![b'x'; 400];
    rate("append 400 B, no sync", s, || file.write_all(&rec).expect("write"));
    rate("append 400 B + fdatasync", s, || {
        file.write_all(&rec).expect("write");
        file.sync_data().expect("sync");
    });
    let batch = vec![b'x'; 400 * 100];
    rate("append 100 x 400 B + fdatasync", s, || {
        file.write_all(&batch).expect("write");
        file.sync_data().expect("sync");
    });
    drop(file);
    std::fs::remove_file(&path).expect("remove");
    for sync in ["FULL", "NORMAL", "OFF"] {
        let db = format!("{dir}/limits.db");
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{db}{suffix}"));
        }
        let c = rusqlite::Connection::open(&db).expect("db");
        c.pragma_update(None, "journal_mode", "WAL").expect("wal");
        c.pragma_update(None, "synchronous", sync).expect("sync");
        c.execute_batch("create table e(id integer primary key, ts integer, h blob, body text)")
            .expect("table");
        let body = String::from_utf8(rec.clone()).expect("text");
        rate(&format!("SQLite WAL {sync}: 1 insert per commit"), s, || {
            c.prepare_cached("insert into e(ts,h,body) values(1,?,?)")
                .expect("prep")
                .execute((&rec[..32], &body))
                .expect("insert");
        });
        rate(&format!("SQLite WAL {sync}: 100 inserts per commit"), s, || {
            c.execute_batch("begin").expect("begin");
            for _ in 0..100 {
                c.prepare_cached("insert into e(ts,h,body) values(1,?,?)")
                    .expect("prep")
                    .execute((&rec[..32], &body))
                    .expect("insert");
            }
            c.execute_batch("commit").expect("commit");
        });
        if sync == "OFF" {
            let n: i64 = c.query_row("select max(id) from e", [], |x| x.get(0)).expect("max");
            let mut i = 1;
            rate("SQLite point read by key", s, || {
                i = (i * 7919 + 13) % n + 1;
                let _: String = c
                    .prepare_cached("select body from e where id=?")
                    .expect("prep")
                    .query_row([i], |x| x.get(0))
                    .expect("row");
            });
        }
        drop(c);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{db}{suffix}"));
        }
    }
}
