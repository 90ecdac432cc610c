//! Collects the folder `migrations/` into a list of texts that are built in.

use std::{
    collections::BTreeMap,
    error::Error,
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The files of one step: for both databases, for SQLite, for PostgreSQL.
#[derive(Default)]
struct Step([Option<PathBuf>; 3]);

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn from_cargo(name: &str) -> Result<OsString, Box<dyn Error>> {
    std::env::var_os(name).ok_or_else(|| format!("cargo sets {name}").into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = from_cargo("OUT_DIR")?;
    // Asked when it runs, not built in: two checkouts may share one build folder.
    let folder = Path::new(&from_cargo("CARGO_MANIFEST_DIR")?).join("../../migrations").canonicalize()?;
    println!("cargo:rerun-if-changed={}", folder.display());

    let mut steps: BTreeMap<String, Step> = BTreeMap::new();
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_suffix(".sql").map(str::to_owned) else { continue };
        let (name, place) = match name.rsplit_once('.') {
            None => (name.as_str(), 0),
            Some((name, "sqlite")) => (name, 1),
            Some((name, "postgres")) => (name, 2),
            Some((_, other)) => {
                return Err(format!("unknown database `{other}` in {}", path.display()).into());
            }
        };
        let number = name.split('_').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{} does not begin with four digits and `_`", path.display()).into());
        }
        if steps.keys().any(|known| known != name && known.starts_with(number)) {
            return Err(format!("two migrations have the number {number}").into());
        }
        steps.entry(name.to_owned()).or_default().0[place] = Some(path);
    }

    let mut text = String::from("const MIGRATIONS: &[Migration] = &[\n");
    for (name, Step(files)) in steps {
        let [common, sqlite, postgres] = files.map(|file| match file {
            Some(path) => format!("Some(include_str!(r#\"{}\"#))", path.display()),
            None => "None".to_owned(),
        });
        writeln!(
            text,
            "    Migration {{ name: {name:?}, common: {common}, sqlite: {sqlite}, postgres: {postgres} }},"
        )?;
    }
    text.push_str("];\n");
    fs::write(Path::new(&out).join("migrations.rs"), text)?;
    Ok(())
}
