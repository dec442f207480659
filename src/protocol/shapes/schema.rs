//! What a row of [`super::table`] means, and how rows are found.
//!
//! Rows refer to each other by index, so the table is constant data without relocations: nothing is built or
//! allocated at start. Versions are those of the message, as in Kafka's definitions.

use super::table::{FIELDS, OLD_REQUESTS, REQUESTS, STRUCTS};

/// First flexible version of a message that has none (KIP-482).
pub(super) const NEVER: u8 = u8::MAX;

/// How one value stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int8,
    /// Signed or not.
    Int16,
    Int32,
    /// Also float64.
    Int64,
    Uuid,
    String,
    /// Also records, which stay opaque here.
    Bytes,
    /// Index in `STRUCTS`.
    Struct(u16),
}

/// Versions that have something, both ends included; empty when the first is above the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    first: u8,
    last: u8,
}

impl Versions {
    pub(super) fn contain(self, version: u8) -> bool {
        self.first <= version && version <= self.last
    }
}

/// One field of a struct: a value or an array of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) is_array: bool,
    pub(super) versions: Versions,
    pub(super) nullable: Versions,
    /// The number of a tagged field, which stands in the tag section and may be absent.
    pub(super) tag: Option<u8>,
}

pub(super) const fn one(kind: Kind, first: u8, last: u8) -> Field {
    Field {
        kind,
        is_array: false,
        versions: Versions { first, last },
        nullable: Versions { first: 1, last: 0 },
        tag: None,
    }
}

pub(super) const fn many(kind: Kind, first: u8, last: u8) -> Field {
    Field { is_array: true, ..one(kind, first, last) }
}

impl Field {
    pub(super) const fn nullable(self, first: u8, last: u8) -> Field {
        Field { nullable: Versions { first, last }, ..self }
    }

    pub(super) const fn tagged(self, number: u8) -> Field {
        Field { tag: Some(number), ..self }
    }
}

/// A struct: a run of `FIELDS` and two bounds that hold in every version.
#[derive(Clone, Copy, Debug)]
pub(super) struct StructSchema {
    first_field: u16,
    field_count: u8,
    /// No value takes fewer bytes on the wire; never 0 for an element of an array.
    pub(super) least_size_bytes: u8,
    /// The codec crate's struct takes no more, what its handles point to left out.
    pub(super) memory_size_bytes: u16,
}

pub(super) const fn structure(
    first_field: u16,
    field_count: u8,
    least_size_bytes: u8,
    memory_size_bytes: u16,
) -> StructSchema {
    StructSchema { first_field, field_count, least_size_bytes, memory_size_bytes }
}

impl StructSchema {
    pub(super) fn by_index(index: u16) -> &'static StructSchema {
        &STRUCTS[usize::from(index)]
    }

    /// In the order of the wire; tagged fields are among them.
    pub(super) fn fields(&self) -> &'static [Field] {
        &FIELDS[usize::from(self.first_field)..][..usize::from(self.field_count)]
    }
}

/// A request's body, in the versions that one release of Kafka gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestSchema {
    pub(super) key: i16,
    pub(super) versions: Versions,
    pub(super) flexible_from: u8,
    /// Index in `STRUCTS`.
    pub(super) body: u16,
}

pub(super) const fn request(key: i16, first: u8, last: u8, flexible_from: u8, body: u16) -> RequestSchema {
    RequestSchema { key, versions: Versions { first, last }, flexible_from, body }
}

impl RequestSchema {
    /// The newest release that has the key; `None` when Kafka has no request of it.
    pub(super) fn by_key(key: i16) -> Option<&'static RequestSchema> {
        find(&REQUESTS, key).or_else(|| find(&OLD_REQUESTS, key))
    }

    /// This, or what older releases give, whichever has the version.
    pub(super) fn or_older(&'static self, version: u8) -> Option<&'static RequestSchema> {
        if self.versions.contain(version) {
            return Some(self);
        }
        find(&OLD_REQUESTS, self.key).filter(|older| older.versions.contain(version))
    }

    /// Also for versions of other releases, and for those that do not exist yet: an ApiVersions from the future has the
    /// newest header.
    pub(super) fn is_flexible(&self, version: i16) -> bool {
        self.flexible_from != NEVER && version >= i16::from(self.flexible_from)
    }
}

fn find(rows: &'static [RequestSchema], key: i16) -> Option<&'static RequestSchema> {
    rows.binary_search_by_key(&key, |schema| schema.key).ok().map(|index| &rows[index])
}
