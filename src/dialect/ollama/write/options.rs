//! The `options` of an Ollama request.

use crate::chat::{Native, Sampling};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

/// Options in order; a later one of the same name has already replaced an earlier one.
pub(super) struct Options<'a>(Vec<(&'a str, Value<'a>)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Raw(&'a RawValue),
    Texts(&'a [String]),
}

impl<'a> Options<'a> {
    pub(super) fn new(sampling: &'a Sampling, native: &'a Native) -> Self {
        let mut list = Vec::new();
        for (name, number) in [
            ("temperature", &sampling.temperature),
            ("top_p", &sampling.top_p),
            ("top_k", &sampling.top_k),
            ("min_p", &sampling.min_p),
            ("frequency_penalty", &sampling.frequency_penalty),
            ("presence_penalty", &sampling.presence_penalty),
            ("repeat_penalty", &sampling.repeat_penalty),
            ("seed", &sampling.seed),
            ("num_predict", &sampling.max_tokens),
        ] {
            list.extend(number.as_ref().map(|number| (name, Value::Raw(number.as_raw()))));
        }
        if !sampling.stop.is_empty() {
            list.push(("stop", Value::Texts(&sampling.stop)));
        }
        for (name, raw) in &native.options {
            list.retain(|(known, _)| known != name);
            list.push((name, Value::Raw(raw)));
        }
        Self(list)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
