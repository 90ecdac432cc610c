//! Configuration as documents: apply, diff and export.
//!
//! A document is `{apiVersion: writ/v1, kind, metadata: {name}, spec}`. Applying is one draft and so one
//! transaction: everything or nothing. Exporting gives documents that apply to nothing but "unchanged", and the
//! same bytes each time.

mod model;
mod order;

pub use model::{API_VERSION, Change, Document, DocumentRefusal, Metadata, Plan};

use base::Error;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    authority::Authority,
    catalogue::{LabelSetSpec, Server, apply_labels, labels_of},
    client::Client,
    control::Control,
    draft::{Draft, Outcome},
    grant::{Grant, Role},
    kind::Kind,
    principal::{Agent, Blueprint, Group, Person, Workload},
    rule::Rule,
    secret::KeptSecret,
    snapshot::Snapshot,
};
use order::DocumentKind;

impl Control {
    /// Applies documents, or says what applying them would change. The order of the documents does not matter.
    pub async fn apply(
        &self,
        by: &impl Authority,
        documents: Vec<Document>,
        dry_run: bool,
    ) -> Result<Plan, Error> {
        let documents = sorted(documents)?;
        let make = |draft: &mut Draft| put_all(draft, &documents);
        let (changes, position) =
            if dry_run { (self.preview(by, make)?, None) } else { self.change(by, make).await? };
        Ok(Plan { changes, position: position.map(|position| position.0), dry_run })
    }

    /// Everything that documents can say, in the order in which it can be applied.
    pub fn export(&self) -> Result<Vec<Document>, Error> {
        let known = self.snapshot();
        let mut documents = Vec::new();
        for kind in DocumentKind::ALL {
            export_kind(kind, &known, &mut documents)?;
        }
        Ok(documents)
    }
}

/// Documents in the order in which they can be applied, each of another thing.
fn sorted(documents: Vec<Document>) -> Result<Vec<(DocumentKind, Document)>, DocumentRefusal> {
    let mut documents = documents
        .into_iter()
        .map(|document| Ok((DocumentKind::of(&document)?, document)))
        .collect::<Result<Vec<_>, DocumentRefusal>>()?;
    documents
        .sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.metadata.name.cmp(&other.metadata.name)));
    for pair in documents.windows(2) {
        if let [(a, one), (b, other)] = pair
            && a == b
            && one.metadata.name == other.metadata.name
        {
            return Err(DocumentRefusal::Twice { kind: a.as_str(), name: one.metadata.name.clone() });
        }
    }
    Ok(documents)
}

fn put_all(draft: &mut Draft, documents: &[(DocumentKind, Document)]) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::with_capacity(documents.len());
    for (kind, document) in documents {
        let name = document.metadata.name.clone();
        let outcome = put(*kind, draft, document).map_err(|error| in_document(error, *kind, &name))?;
        let warnings = match kind {
            DocumentKind::Policy => draft.warnings::<Rule>(&name),
            _ => Vec::new(),
        };
        changes.push(Change { kind: kind.as_str().to_owned(), name, outcome, warnings });
    }
    Ok(changes)
}

fn put(kind: DocumentKind, draft: &mut Draft, document: &Document) -> Result<Outcome, Error> {
    match kind {
        DocumentKind::Person => put_one::<Person>(draft, document),
        DocumentKind::Blueprint => put_one::<Blueprint>(draft, document),
        DocumentKind::Client => put_one::<Client>(draft, document),
        DocumentKind::Agent => put_one::<Agent>(draft, document),
        DocumentKind::Workload => put_one::<Workload>(draft, document),
        DocumentKind::Group => put_one::<Group>(draft, document),
        DocumentKind::Secret => put_one::<KeptSecret>(draft, document),
        DocumentKind::Server => put_one::<Server>(draft, document),
        DocumentKind::Role => put_one::<Role>(draft, document),
        DocumentKind::Grant => put_one::<Grant>(draft, document),
        DocumentKind::Policy => put_one::<Rule>(draft, document),
        DocumentKind::LabelSet => {
            let changes = draft.events().len();
            let labels: LabelSetSpec = spec(document)?;
            apply_labels(draft, &document.metadata.name, &labels)?;
            Ok(if draft.events().len() == changes { Outcome::Unchanged } else { Outcome::Changed })
        }
    }
}

fn put_one<K: Kind>(draft: &mut Draft, document: &Document) -> Result<Outcome, Error> {
    let spec = spec::<K::Spec>(document)?;
    draft.put::<K>(&document.metadata.name, spec)
}

fn spec<S: DeserializeOwned>(document: &Document) -> Result<S, DocumentRefusal> {
    serde_json::from_value(document.spec.clone()).map_err(|error| DocumentRefusal::Spec(error.to_string()))
}

/// Says in which document a refusal lies.
fn in_document(error: Error, kind: DocumentKind, name: &str) -> Error {
    match error {
        Error::Refused(mut refusal) => {
            refusal.message = format!("{} `{name}`: {}", kind.as_str(), refusal.message);
            Error::Refused(refusal)
        }
        Error::Fault(fault) => Error::Fault(fault),
    }
}

fn export_kind(kind: DocumentKind, known: &Snapshot, out: &mut Vec<Document>) -> Result<(), Error> {
    match kind {
        DocumentKind::Person => export_all::<Person>(known, out),
        DocumentKind::Blueprint => export_all::<Blueprint>(known, out),
        DocumentKind::Client => export_all::<Client>(known, out),
        DocumentKind::Agent => export_all::<Agent>(known, out),
        DocumentKind::Workload => export_all::<Workload>(known, out),
        DocumentKind::Group => export_all::<Group>(known, out),
        DocumentKind::Secret => export_all::<KeptSecret>(known, out),
        DocumentKind::Server => export_all::<Server>(known, out),
        DocumentKind::Role => export_all::<Role>(known, out),
        DocumentKind::Grant => export_all::<Grant>(known, out),
        DocumentKind::Policy => export_all::<Rule>(known, out),
        DocumentKind::LabelSet => {
            for server in known.servers.iter() {
                let labels = labels_of(&server.id, known);
                if !labels.effects.is_empty() {
                    out.push(document(kind.as_str(), &server.name, &labels)?);
                }
            }
            Ok(())
        }
    }
}

fn export_all<K: Kind>(known: &Snapshot, out: &mut Vec<Document>) -> Result<(), Error> {
    for thing in K::shelf(known).iter() {
        out.push(document(K::KIND, &thing.name, &K::spec(&thing.body, known))?);
    }
    Ok(())
}

fn document<S: Serialize>(kind: &str, name: &str, spec: &S) -> Result<Document, Error> {
    let spec = serde_json::to_value(spec).map_err(|error| base::Fault::new("writing a document", error))?;
    Ok(Document {
        api_version: API_VERSION.to_owned(),
        kind: kind.to_owned(),
        metadata: Metadata { name: name.to_owned() },
        spec,
    })
}
