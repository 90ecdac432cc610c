//! The key that signs checkpoints: one per log, made at the first start, shared by all nodes.

use base::{Dice, Fault};
use wire::tlog::NoteSigner;
use zeroize::Zeroizing;

use crate::{Sealed, deadline::Deadline, engine::Engine, seal::Kek};

/// The only row; also the associated data of its seal.
const ID: &str = "log_key";

/// Reads the log's key, or makes it under the name `origin`.
pub(crate) async fn open_key(
    engine: &Engine,
    kek: &Kek,
    origin: &str,
    dice: &dyn Dice,
) -> Result<NoteSigner, Fault> {
    let mut conn = engine.begin_alone(Deadline::of_read()).await?;
    let row = conn.row("select origin, seed_sealed from log_key where id = $1", &[ID.into()]).await?;
    if let Some(row) = row {
        let seed = kek.open_sealed(ID, &Sealed::from_bytes(row.bytes(1)?))?;
        let seed = <&[u8; 32]>::try_from(seed.as_slice())
            .map_err(|error| Fault::new("opening the log's key", error))?;
        return signer(&row.text(0)?, seed);
    }
    let seed = Zeroizing::new(dice.bytes::<32>());
    let signer = signer(origin, &seed)?;
    let sealed = kek.seal(ID, seed.as_slice(), dice)?;
    let sql = "insert into log_key (id, origin, vkey, seed_sealed) values ($1, $2, $3, $4)";
    let vkey = signer.verifier().to_string();
    conn.exec(sql, &[ID.into(), origin.into(), vkey.into(), sealed.as_bytes().into()]).await?;
    conn.commit().await?;
    Ok(signer)
}

fn signer(origin: &str, seed: &[u8; 32]) -> Result<NoteSigner, Fault> {
    NoteSigner::from_seed(origin, seed).map_err(|error| Fault::new("opening the log's key", error))
}
