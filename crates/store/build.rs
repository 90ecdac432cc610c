//! Collects the folder `migrations/` into a list of texts that are built in.

use std::{
    collections::BTreeMap,
    error::Error,
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn from_cargo(name: &str) -> Result<OsString, Box<dyn Error>> {
    std::env::var_os(name).ok_or_else(|| format!("cargo sets {name}").into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = from_cargo("OUT_DIR")?;
    // Asked when it runs, not built in: two checkouts may share one build folder.
    let folder = Path::new(&from_cargo("CARGO_MANIFEST_DIR")?).join("../../migrations").canonicalize()?;
    println!("cargo:rerun-if-changed={}", folder.display());

    let mut steps: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_suffix(".sql").map(str::to_owned) else { continue };
        let number = name.split('_').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{} does not begin with four digits and `_`", path.display()).into());
        }
        if steps.keys().any(|known| known.starts_with(number)) {
            return Err(format!("two migrations have the number {number}").into());
        }
        steps.insert(name, path);
    }

    let mut text = String::from("const MIGRATIONS: &[Migration] = &[\n");
    for (name, path) in steps {
        let step = fs::read_to_string(path)?;
        // The one word on which the databases differ.
        let [sqlite, postgres] = ["integer", "bigint"].map(|key| step.replace("POSITION", key));
        writeln!(text, "    Migration {{ name: {name:?}, sqlite: {sqlite:?}, postgres: {postgres:?} }},")?;
    }
    text.push_str("];\n");
    fs::write(Path::new(&out).join("migrations.rs"), text)?;
    Ok(())
}
