//! What an Ollama must have in memory to answer a request, how to ask for that alone, and what it says it has.

use crate::dialect::{Operation, json, time};
use bytes::Bytes;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// What a request needs in memory: a model, loaded in a certain way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Making {
    /// The model's name without regard to case and a tag that it has anyway.
    pub name: Arc<str>,
    /// The name and the options that it must be loaded with. What has the same key needs no other load.
    pub key: Arc<str>,
    /// The context that the request wants, where that is the only option of the kind.
    pub context: Option<u64>,
    /// Whether the request wants it gone afterwards (`keep_alive: 0`).
    pub unloads: bool,
    path: &'static str,
    body: Bytes,
}

/// A model in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InMemory {
    /// Its name, as in [`Making::name`].
    pub name: Arc<str>,
    /// The context that it was loaded with; `None` where this Ollama does not say.
    pub context: Option<u64>,
    /// When it goes unless it is asked, in seconds since 1970; `None` where that is not known.
    pub until: Option<u64>,
}

/// Options that a model is loaded with: another value of one of them loads it anew.
// Source: ollama api/types.go Runner, server/sched.go needsReload.
const LOADING: [&str; 7] =
    ["num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict"];

#[derive(Deserialize, Default)]
struct Fields<'a> {
    #[serde(borrow, default)]
    options: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow, default)]
    keep_alive: Option<&'a RawValue>,
    #[serde(borrow, default)]
    shift: Option<&'a RawValue>,
}

// Nothing to say is what makes it a load. Source: ollama server/routes.go GenerateHandler, EmbedHandler.
#[derive(Serialize)]
struct Nothing<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<[&'static str; 0]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: &'a BTreeMap<&'a str, &'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ps {
    #[serde(default)]
    models: Option<Vec<Listed>>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    context_length: u64,
    #[serde(default)]
    expires_at: String,
}

// === impl Making ===

impl Making {
    /// What this request needs, in Ollama's own dialect, whose body is for this model.
    pub fn of(operation: Operation, model: &str, body: &[u8]) -> Self {
        // Most bodies say nothing of it, and need not be read for that.
        let says = |name: &str| memmem::find(body, name.as_bytes()).is_some();
        let fields: Fields<'_> = match says("\"options\"") || says("\"keep_alive\"") {
            true => serde_json::from_slice(body).unwrap_or_default(),
            false => Fields::default(),
        };
        let all = fields.options.unwrap_or_default();
        let options: BTreeMap<&str, &RawValue> =
            LOADING.iter().filter_map(|name| Some((*name, *all.get(*name)?))).collect();
        let name: Arc<str> = bare(model);
        let key = match (options.is_empty(), fields.shift) {
            (true, None) => name.clone(),
            (_, shift) => {
                let shift = shift.map_or("", RawValue::get);
                let said = serde_json::to_string(&options).unwrap_or_default();
                format!("{name} {said}{shift}").into()
            }
        };
        let context = options.get("num_ctx").filter(|_| options.len() == 1);
        let context = context.and_then(|context| context.get().parse().ok());
        let embeds = matches!(operation, Operation::Embed | Operation::EmbedOne);
        let nothing = Nothing {
            model,
            prompt: (!embeds).then_some(""),
            input: embeds.then_some([]),
            options: &options,
            shift: fields.shift.filter(|_| !embeds),
            keep_alive: fields.keep_alive,
        };
        Self {
            name,
            key,
            context,
            unloads: fields.keep_alive.is_some_and(|raw| is_zero(raw.get())),
            path: if embeds { "/api/embed" } else { "/api/generate" },
            body: json::bytes(&nothing),
        }
    }

    /// The request that asks for nothing but this: its path, to be posted to, and its body. It is answered when the model is
    /// loaded, and at once where it is already.
    pub fn request(&self) -> (&'static str, Bytes) {
        (self.path, self.body.clone())
    }
}

impl InMemory {
    /// Reads `/api/ps`; `None` for what is no such answer.
    pub fn read(ps: &[u8]) -> Option<Vec<Self>> {
        let ps: Ps = serde_json::from_slice(ps).ok()?;
        let listed = ps.models.unwrap_or_default().into_iter().map(|listed| {
            let name = if listed.model.is_empty() { &listed.name } else { &listed.model };
            Self {
                name: bare(name),
                context: Some(listed.context_length).filter(|context| *context > 0),
                until: time::seconds(&listed.expires_at),
            }
        });
        Some(listed.collect())
    }
}

/// A name by which two that mean one model are the same. Source: ollama types/model/name.go.
fn bare(model: &str) -> Arc<str> {
    let name = model.to_lowercase();
    name.strip_suffix(":latest").unwrap_or(&name).into()
}

/// Whether a `keep_alive` is nothing: `0`, `"0"`, `"0s"`, `0.0`.
fn is_zero(raw: &str) -> bool {
    let mut digits = raw.bytes().filter(u8::is_ascii_digit).peekable();
    digits.peek().is_some() && digits.all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(operation: Operation, body: &Value) -> Making {
        Making::of(operation, body["model"].as_str().unwrap(), body.to_string().as_bytes())
    }

    fn asked(making: &Making) -> Value {
        serde_json::from_slice(&making.request().1).unwrap()
    }

    #[test]
    fn what_is_loaded_with_other_options_is_another_making() {
        let plain = of(Operation::Chat, &json!({ "model": "Llama3:latest", "messages": [] }));
        let same =
            of(Operation::Chat, &json!({ "model": "llama3", "options": { "temperature": 1 } }));
        let wide =
            of(Operation::Chat, &json!({ "model": "llama3", "options": { "num_ctx": 8192 } }));
        assert_eq!((&*plain.key, &plain.key), ("llama3", &same.key));
        assert_ne!(plain.key, wide.key);
        assert_eq!((plain.context, wide.context), (None, Some(8192)));
    }

    #[test]
    fn the_load_says_what_the_request_says_of_loading_and_nothing_else() {
        let chat = of(
            Operation::Chat,
            &json!({ "model": "m", "messages": [{ "role": "user", "content": "secret" }],
                "keep_alive": "1h", "options": { "num_ctx": 8192, "seed": 1 } }),
        );
        assert_eq!(chat.request().0, "/api/generate");
        assert_eq!(
            asked(&chat),
            json!({ "model": "m", "prompt": "", "keep_alive": "1h", "options": { "num_ctx": 8192 } })
        );
        let embed = of(Operation::Embed, &json!({ "model": "e", "input": ["a"] }));
        assert_eq!(embed.request().0, "/api/embed");
        assert_eq!(asked(&embed), json!({ "model": "e", "input": [] }));
    }

    #[test]
    fn a_request_that_wants_its_model_gone_is_known() {
        for (keep, unloads) in
            [(json!(0), true), (json!("0s"), true), (json!(-1), false), (json!("10m"), false)]
        {
            let making = of(Operation::Chat, &json!({ "model": "m", "keep_alive": keep }));
            assert_eq!(making.unloads, unloads, "{keep}");
        }
    }

    #[test]
    fn what_is_in_memory_is_read_from_ps() {
        let ps = json!({ "models": [
            { "name": "A:latest", "model": "A:latest", "context_length": 4096,
                "expires_at": "1970-01-01T00:10:00.5Z" },
            { "name": "b:1b" }] });
        let all = InMemory::read(ps.to_string().as_bytes()).unwrap();
        assert_eq!((&*all[0].name, all[0].context, all[0].until), ("a", Some(4096), Some(600)));
        assert_eq!((&*all[1].name, all[1].context, all[1].until), ("b:1b", None, None));
        assert!(InMemory::read(b"<html>").is_none());
        assert_eq!(InMemory::read(b"{\"models\":null}").unwrap(), []);
    }
}
