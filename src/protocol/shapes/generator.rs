//! Random bodies that obey the table: seeds for fuzzing, and the proof that table and codec crate agree.

use super::schema::{Field, Kind, RequestSchema, StructSchema};
use super::table::{OLD_REQUESTS, REQUESTS};

/// Every key and version of the tables, ascending.
pub(crate) fn all_versions() -> Vec<(i16, i16)> {
    let versions = OLD_REQUESTS.iter().chain(&REQUESTS).flat_map(|schema| {
        (0..=i16::from(u8::MAX))
            .filter(|version| schema.versions.contain(*version as u8))
            .map(|version| (schema.key, version))
    });
    let mut versions: Vec<(i16, i16)> = versions.collect();
    versions.sort_unstable();
    versions
}

/// How much a generated body holds.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Elements of an array, at most.
    pub(crate) elements: usize,
    /// Whether tags appear that nobody knows.
    pub(crate) unknown_tags: bool,
}

/// A body of a request that exists.
pub(crate) fn generate(api_key: i16, version: i16, size: Size, rng: &mut fastrand::Rng) -> Vec<u8> {
    let schema = RequestSchema::by_key(api_key).and_then(|newest| newest.or_older(version as u8));
    let schema = schema.expect("the key and the version are of the tables");
    let mut generator = Generator {
        out: Vec::new(),
        version: version as u8,
        is_flexible: schema.is_flexible(version),
        size,
        rng,
    };
    generator.write_struct(StructSchema::by_index(schema.body));
    generator.out
}

struct Generator<'a> {
    out: Vec<u8>,
    version: u8,
    is_flexible: bool,
    size: Size,
    rng: &'a mut fastrand::Rng,
}

impl Generator<'_> {
    fn write_struct(&mut self, schema: &StructSchema) {
        for field in schema.fields() {
            if field.tag.is_none() && field.versions.contain(self.version) {
                self.write_field(field);
            }
        }
        if self.is_flexible {
            self.write_tags(schema.fields());
        }
    }

    fn write_tags(&mut self, fields: &[Field]) {
        let mut tags: Vec<(u8, Vec<u8>)> = Vec::new();
        for field in fields {
            let Some(number) = field.tag else { continue };
            if field.versions.contain(self.version) && self.rng.bool() {
                let before = std::mem::take(&mut self.out);
                self.write_field(field);
                tags.push((number, std::mem::replace(&mut self.out, before)));
            }
        }
        if self.size.unknown_tags && self.rng.u8(..4) == 0 {
            for number in [100, 101, 127].into_iter().take(self.rng.usize(1..=3)) {
                tags.push((number, vec![7; self.rng.usize(..4)]));
            }
        }
        tags.sort();
        self.write_varint(tags.len());
        for (number, value) in tags {
            self.write_varint(usize::from(number));
            self.write_varint(value.len());
            self.out.extend_from_slice(&value);
        }
    }

    fn write_field(&mut self, field: &Field) {
        let is_null = field.nullable.contain(self.version) && self.rng.u8(..3) == 0;
        if field.is_array {
            let count = if is_null { None } else { Some(self.rng.usize(..=self.size.elements)) };
            self.write_length(count, 4);
            for _ in 0..count.unwrap_or(0) {
                self.write_value(field.kind, false);
            }
        } else if let (Kind::Struct(_), true) = (field.kind, field.nullable.contain(self.version)) {
            self.out.push(if is_null { 0xff } else { 1 });
            if !is_null {
                self.write_value(field.kind, false);
            }
        } else {
            self.write_value(field.kind, is_null);
        }
    }

    fn write_value(&mut self, kind: Kind, is_null: bool) {
        match kind {
            Kind::Bool => self.out.push(self.rng.u8(..2)),
            Kind::Int8 => self.write_random(1),
            Kind::Int16 => self.write_random(2),
            Kind::Int32 => self.write_random(4),
            Kind::Int64 => self.write_random(8),
            Kind::Uuid => self.write_random(16),
            Kind::String => {
                let text = ["", "a", "topic", "Grüße, 世界", "a-longer-name.with_all-kinds-of.things"]
                    [self.rng.usize(..5)];
                self.write_length((!is_null).then_some(text.len()), 2);
                if !is_null {
                    self.out.extend_from_slice(text.as_bytes());
                }
            }
            Kind::Bytes => {
                let size = (!is_null).then(|| self.rng.usize(..20));
                self.write_length(size, 4);
                self.write_random(size.unwrap_or(0));
            }
            Kind::Struct(index) => self.write_struct(StructSchema::by_index(index)),
        }
    }

    fn write_random(&mut self, size: usize) {
        for _ in 0..size {
            self.out.push(self.rng.u8(..));
        }
    }

    fn write_length(&mut self, length: Option<usize>, width: usize) {
        match (self.is_flexible, length) {
            (true, None) => self.out.push(0),
            (true, Some(length)) => self.write_varint(length + 1),
            (false, None) => self.out.extend(std::iter::repeat_n(0xff, width)),
            (false, Some(length)) => self.out.extend_from_slice(&(length as u64).to_be_bytes()[8 - width..]),
        }
    }

    fn write_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
