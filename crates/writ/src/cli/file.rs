//! Files that commands read and write, bounded and private where they hold keys.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use wire::jose::{Algorithm, SigningKey, base64url};
use wire::json::{Json, Object};

use super::exit::{Exit, Trouble};

/// The largest file that is read as one, in bytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The text of a file, or of standard input for `-`.
pub(crate) fn text(path: &Path) -> Result<String, Trouble> {
    let trouble = |error| Trouble::file(path, &error);
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(BYTES_MAX + 1).read_to_string(&mut text).map_err(trouble)?;
    } else {
        let file = std::fs::File::open(path).map_err(trouble)?;
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(trouble)?;
    }
    if text.len() as u64 > BYTES_MAX {
        return Err(Trouble::usage(format!("`{}` is larger than 16 MiB", path.display())));
    }
    Ok(text)
}

/// A file that a new private key goes into: it is there, empty and private, before anything is asked of the server,
/// and is gone again where the key in it was not to be.
pub(crate) struct NewKeyFile<'a> {
    path: &'a Path,
    file: std::fs::File,
    kept: bool,
}

impl<'a> NewKeyFile<'a> {
    /// Makes the file. One that exists is never overwritten.
    pub(crate) fn reserve(path: &'a Path) -> Result<Self, Trouble> {
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = made.map_err(|error| {
            let help = if error.kind() == std::io::ErrorKind::AlreadyExists {
                "nothing was changed; a key is never overwritten: choose another name"
            } else {
                "nothing was changed; choose a place where a file can be made"
            };
            Trouble::file(path, &error).help(help)
        })?;
        Ok(Self { path, file, kept: false })
    }

    /// Makes an ES256 key and writes its private half: as a private JWK where the file's name ends in `.jwk` or
    /// `.json`, else as PKCS#8 PEM.
    pub(crate) fn write(&mut self) -> Result<SigningKey, Trouble> {
        let key = SigningKey::generate(Algorithm::Es256)
            .map_err(|fault| Trouble::new(Exit::Failed, fault.to_string()))?;
        let jwk = self.path.extension().is_some_and(|extension| extension == "jwk" || extension == "json");
        let text = if jwk { private_jwk(&key)? } else { pem(&key)? };
        let written = self.file.write_all(text.expose().as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|error| Trouble::file(self.path, &error))?;
        Ok(key)
    }

    /// Where it is.
    pub(crate) const fn path(&self) -> &Path {
        self.path
    }

    /// Lets the file stay.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewKeyFile<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // A file that cannot be removed holds a key that nobody trusts.
            drop(std::fs::remove_file(self.path));
        }
    }
}

fn pkcs8(key: &SigningKey) -> Result<impl std::ops::Deref<Target = Vec<u8>>, Trouble> {
    key.to_pkcs8().map_err(|fault| Trouble::new(Exit::Failed, fault.to_string()))
}

fn pem(key: &SigningKey) -> Result<Secret, Trouble> {
    let body = Secret::new(STANDARD.encode(&**pkcs8(key)?));
    let mut text = String::with_capacity(body.expose().len() + 80);
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.expose();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Ok(Secret::new(text))
}

fn private_jwk(key: &SigningKey) -> Result<Secret, Trouble> {
    use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
    let unreadable = || Trouble::new(Exit::Failed, "the new key cannot be written as a JWK");
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8(key)?).map_err(|_| unreadable())?;
    let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| unreadable())?;
    let mut members: Object = key.public().required_members().as_object().cloned().ok_or_else(unreadable)?;
    members.insert("kid", key.kid());
    members.insert("alg", key.algorithm().as_str());
    members.insert("d", base64url(private.as_ref()));
    Ok(Secret::new(Json::Object(members).to_text() + "\n"))
}

/// The private key in a file: PKCS#8 PEM of any supported algorithm, or a private EC JWK.
pub(crate) fn private_key(path: &Path) -> Result<SigningKey, Trouble> {
    let text = Secret::new(text(path)?);
    let wrong = || {
        Trouble::usage(format!("`{}` holds no usable private key", path.display()))
            .help("use PKCS#8 PEM (`openssl genpkey`), or a private EC JWK; `--generate-key FILE` makes one")
    };
    if text.expose().trim_start().starts_with('{') {
        return key_of_jwk(text.expose()).ok_or_else(wrong);
    }
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.expose().as_bytes()).map_err(|_| wrong())?;
    let document = der.secret_pkcs8_der();
    Algorithm::ALL
        .iter()
        .find_map(|&algorithm| SigningKey::from_pkcs8(algorithm, document).ok())
        .ok_or_else(wrong)
}

/// An EC P-256 key from its JWK: the numbers are put into the fixed frame that PKCS#8 gives such a key (RFC 5958,
/// RFC 5915); aws-lc checks that they belong together.
fn key_of_jwk(text: &str) -> Option<SigningKey> {
    /// PKCS#8 up to the private number, and from there to the public point.
    const HEAD: [u8; 36] = [
        0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01,
        0x04, 0x20,
    ];
    const MIDDLE: [u8; 6] = [0xa1, 0x44, 0x03, 0x42, 0x00, 0x04];
    let jwk = Json::parse(text.as_bytes()).ok()?;
    if (jwk.get("kty")?.as_str()?, jwk.get("crv")?.as_str()?) != ("EC", "P-256") {
        return None;
    }
    let number = |name: &str| {
        let bytes = wire::jose::base64url_decode(jwk.get(name)?.as_str()?)?;
        (bytes.len() == 32).then_some(bytes)
    };
    let document = [&HEAD[..], &number("d")?, &MIDDLE, &number("x")?, &number("y")?].concat();
    SigningKey::from_pkcs8(Algorithm::Es256, &document).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use std::path::Path;

    use wire::jose::SigningKey;

    use super::{NewKeyFile, private_key};

    fn new_private_key(path: &Path) -> SigningKey {
        let mut file = NewKeyFile::reserve(path).unwrap();
        let key = file.write().unwrap();
        file.keep();
        key
    }

    #[test]
    fn keys_are_private_and_read_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.pem", "a.jwk", "b.json", "plain"] {
            let path = folder.path().join(name);
            let made = new_private_key(&path);
            assert_eq!(private_key(&path).unwrap().kid(), made.kid(), "{name}");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            assert!(NewKeyFile::reserve(&path).is_err(), "{name} is not overwritten");
        }
    }

    #[test]
    fn a_key_that_was_not_to_be_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let mut file = NewKeyFile::reserve(&path).unwrap();
        file.write().unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = new_private_key(&folder.path().join("good.jwk"));
        let public = made.public().required_members().to_text();
        let good = std::fs::read_to_string(folder.path().join("good.jwk")).unwrap();
        // The private number of another key: the point no longer belongs to it.
        let other = new_private_key(&folder.path().join("other.jwk"));
        let (x, mixed) = (made.public().required_members().get("x").unwrap().as_str().unwrap(), other);
        let mixed = good.replace(x, mixed.public().required_members().get("x").unwrap().as_str().unwrap());
        for text in [
            "",
            "{}",
            "not a key",
            public.as_str(),
            mixed.as_str(),
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(private_key(&path).is_err(), "{text}");
        }
    }
}
