//! Objects: members in order, with distinct names.

use super::Json;

/// The members of a JSON object, in the order in which they were written.
///
/// INVARIANT: names are distinct. [`push_distinct`](Self::push_distinct) is only for the parser, which checks.
#[derive(Clone, Debug, Default)]
pub struct Object {
    members: Vec<(String, Json)>,
}

/// Up to this many members, comparing each with each is faster than sorting.
const SCAN_MAX: usize = 16;

impl Object {
    /// An object without members.
    pub const fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// How many members there are.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member called `name`. Takes time linear in the number of members.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The member called `name`, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        self.members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether a member is called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a member; an existing one keeps its place, and its former value is returned.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Json>) -> Option<Json> {
        let (name, value) = (name.into(), value.into());
        if let Some(place) = self.get_mut(&name) {
            return Some(std::mem::replace(place, value));
        }
        self.members.push((name, value));
        None
    }

    /// Takes a member out; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        Some(self.members.remove(at).1)
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The members in order, their values to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Json)> {
        self.members.iter_mut().map(|(name, value)| (name.as_str(), value))
    }

    /// The names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    /// Adds a member without looking for its name; the parser calls [`second_of_a_name`](Self::second_of_a_name)
    /// before it lets go of the object.
    pub(super) fn push_distinct(&mut self, name: String, value: Json) {
        self.members.push((name, value));
    }

    /// The place of the first member whose name stood before, if any: linear work for small objects, sorting for
    /// large ones, so that an object of a million members costs no quadratic time.
    pub(super) fn second_of_a_name(&self) -> Option<usize> {
        if self.members.len() <= SCAN_MAX {
            return (1..self.members.len())
                .find(|&later| self.members[..later].iter().any(|(name, _)| *name == self.members[later].0));
        }
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_unstable_by(|&a, &b| self.members[a].0.cmp(&self.members[b].0).then(a.cmp(&b)));
        order
            .windows(2)
            .filter(|pair| self.members[pair[0]].0 == self.members[pair[1]].0)
            .map(|pair| pair[1])
            .min()
    }

    /// The members sorted as RFC 8785, section 3.2.3 sorts them: by UTF-16 code units.
    pub(super) fn sorted(&self) -> Vec<&(String, Json)> {
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        members
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        // Nearly always the order is the same, too; only otherwise it is worth sorting.
        let same_names = self.names().eq(other.names());
        if same_names { self.members == other.members } else { self.sorted() == other.sorted() }
    }
}

impl Eq for Object {}

impl<K: Into<String>> FromIterator<(K, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, Json)>>(members: I) -> Self {
        // Not by `insert`, whose search would make large objects quadratic.
        let mut object =
            Self { members: members.into_iter().map(|(name, value)| (name.into(), value)).collect() };
        while let Some(second) = object.second_of_a_name() {
            let (name, value) = object.members.remove(second);
            object.insert(name, value);
        }
        object
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}
