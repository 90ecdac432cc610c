//! Writing canonical objects directly, where the facts of a call are written again and again.

use base::Facts;

use super::write_string;

/// One object in canonical form, written member by member.
///
/// INVARIANT: whoever writes gives the names in canonical order, each once, of small letters, digits and `_`; another name, or one out
/// of order, stops a build with debug assertions, tests included.
#[derive(Debug)]
pub struct Members {
    out: Vec<u8>,
    last: &'static str,
}

impl Members {
    /// An object without members; `capacity` is about how many bytes it will have.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(b'{');
        Self { out, last: "" }
    }

    fn name(&mut self, name: &'static str) {
        debug_assert!(self.last < name, "`{name}` behind `{}` is not canonical", self.last);
        debug_assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "`{name}` needs escapes"
        );
        if !self.last.is_empty() {
            self.out.push(b',');
        }
        self.last = name;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        write_string(text, &mut self.out);
    }

    /// A text, or null.
    pub fn opt_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            return self.text(name, text);
        }
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    /// Bytes in hexadecimal.
    pub fn hex(&mut self, name: &'static str, bytes: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        let at = self.out.len();
        self.out.resize(at + bytes.len() * 2, b'0');
        // Fails only for room of another size.
        hex::encode_to_slice(bytes, &mut self.out[at..]).unwrap_or_default();
        self.out.push(b'"');
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, number: i64) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A value in canonical form.
    pub fn raw(&mut self, name: &'static str, canonical: &str) {
        self.name(name);
        self.out.extend_from_slice(canonical.as_bytes());
    }

    /// A list of texts.
    pub fn texts<'a>(&mut self, name: &'static str, texts: impl IntoIterator<Item = &'a str>) {
        self.name(name);
        self.items(texts, |out, text| write_string(text, out));
    }

    /// An object.
    pub fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        nested(&mut self.out, write);
    }

    /// A list of objects.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.name(name);
        self.items(items, |out, item| nested(out, |members| write(members, item)));
    }

    fn items<T>(&mut self, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write(&mut self.out, item);
        }
        self.out.push(b']');
    }

    /// The object's text.
    pub fn into_text(mut self) -> String {
        self.out.push(b'}');
        // The writer emits whole `str`s and ASCII.
        String::from_utf8(self.out).unwrap_or_default()
    }

    /// The object, for a record.
    pub fn into_facts(self) -> Facts {
        Facts::Written(self.into_text())
    }
}

fn nested(out: &mut Vec<u8>, write: impl FnOnce(&mut Members)) {
    out.push(b'{');
    let mut members = Members { out: std::mem::take(out), last: "" };
    write(&mut members);
    *out = members.out;
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use base::Facts;

    use super::Members;
    use crate::json::Json;

    #[test]
    fn what_is_written_is_canonical() {
        let mut members = Members::with_capacity(0);
        members.hex("act", &[0, 0xab, 0xff]);
        members.object("b", |inner| {
            inner.text("a", "\u{e9}\"\n");
            inner.opt_text("c", None);
        });
        members.objects("c", ["x", "y"], |inner, text| {
            inner.texts("list", [text, "z"]);
            inner.number("n", -7);
        });
        members.texts("d", []);
        members.object("e", |_| {});
        members.number("f", i64::MIN);
        members.raw("g", "[1]");
        let Facts::Written(text) = members.into_facts() else { panic!("not written") };
        assert_eq!(Json::parse(text.as_bytes()).unwrap().canonical(), text.as_bytes(), "{text}");
    }

    #[test]
    #[should_panic(expected = "is not canonical")]
    fn names_out_of_order_are_noticed() {
        let mut members = Members::with_capacity(0);
        members.number("b", 1);
        members.number("a", 1);
    }
}
