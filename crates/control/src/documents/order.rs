//! The kinds of documents, in the order in which they can be applied.

use super::model::{API_VERSION, Document, DocumentRefusal};

macro_rules! document_kinds {
    ($($name:ident)*) => {
        /// The kinds of documents; each comes after those that it refers to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum DocumentKind { $($name,)* }

        impl DocumentKind {
            pub(super) const ALL: [Self; [$(Self::$name,)*].len()] = [$(Self::$name,)*];

            /// The kind as written.
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

document_kinds! { Person Blueprint Agent Workload Client Group Secret Server LabelSet Role Grant Policy }

impl DocumentKind {
    /// The kind of a document of this version.
    pub(super) fn of(document: &Document) -> Result<Self, DocumentRefusal> {
        let short = |text: &str| text.chars().take(40).collect::<String>();
        let (kind, name) = (short(&document.kind), document.metadata.name.chars().take(80).collect());
        if document.api_version != API_VERSION {
            return Err(DocumentRefusal::Version { kind, name, version: short(&document.api_version) });
        }
        let found = Self::ALL.into_iter().find(|one| one.as_str() == document.kind);
        found.ok_or(DocumentRefusal::Kind { kind, name })
    }

    /// All kinds, for messages.
    pub(super) fn list() -> String {
        Self::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ")
    }
}
