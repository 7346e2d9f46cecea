//! Objects whose fields are JSON already, so that what is handed on stays as it was written.

use crate::{
    chat::Raw,
    dialect::json::{self, Fields},
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// An object, its fields in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, &**value)))
    }
}

impl<'a> Object<'a> {
    /// The same fields.
    pub(super) fn of(fields: &Fields<'a>) -> Self {
        let own = |name: &str| Cow::Owned(name.to_owned());
        Self(fields.iter().map(|(name, raw)| (own(name), Cow::Borrowed(raw))).collect())
    }

    /// Sets a field, in its place where it is there already.
    pub(super) fn put(&mut self, name: &'static str, value: impl Serialize) {
        if let Some(value) = raw(&value) {
            self.set(name, Cow::Owned(value));
        }
    }

    /// [`Object::put`] where the field is there, and is not null.
    pub(super) fn replace(&mut self, name: &'static str, value: impl Serialize) {
        let there =
            |(known, raw): &(Cow<'_, str>, Cow<'_, RawValue>)| known == name && raw.get() != "null";
        if self.0.iter().any(there) {
            self.put(name, value);
        }
    }

    fn set(&mut self, name: &'static str, value: Cow<'a, RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((Cow::Borrowed(name), value)),
        }
    }
}

fn raw(value: &impl Serialize) -> Option<Raw> {
    let mut out = Vec::new();
    json::write(&mut out, value);
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}
