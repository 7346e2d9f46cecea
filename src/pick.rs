//! Which installed model serves as coder, as small one and as default, when nobody said so.

mod name;

pub use name::{closest, parameters};

use std::cmp::Ordering;

/// A loaded model says what the machine holds: nothing over this many times its size is picked.
const LOADED_TIMES: u64 = 2;

/// Below this many billions of parameters a model is only picked when there is nothing larger.
const MIN_BILLIONS: f64 = 1.0;

/// About how many bytes a billion parameters take on disk at four bits and a half, the usual quantization.
const BYTES_PER_BILLION: f64 = 0.6e9;

/// A model that an upstream offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Installed {
    /// Its full name, as requests must give it: `qwen2.5-coder:7b`.
    pub name: String,
    /// Its parameters in billions; `None` when the upstream does not say, then name and size are asked.
    pub parameters: Option<f64>,
    /// What it can: `completion`, `tools`, `vision`, `embedding`. Empty when the upstream does not say (old
    /// ones do not): then everything but an embedding model is taken to chat.
    pub capabilities: Vec<String>,
    /// Its architecture, `llama` or `bert`; empty when unknown.
    pub family: String,
    /// Whether it runs on somebody else's machine.
    pub remote: bool,
    /// Whether it is in memory now.
    pub loaded: bool,
    /// How many bytes of memory it takes; 0 when it is not loaded or unknown.
    pub loaded_bytes: u64,
    /// How many bytes it takes on disk; 0 when unknown.
    pub size: u64,
}

/// The models that serve where only an intent is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picks {
    /// For everything that is neither code nor short.
    pub default: String,
    /// For code.
    pub coder: String,
    /// For short prompts.
    pub small: String,
    /// Why each was picked, for people, in the order of the fields: default, coder, small.
    pub why: [String; 3],
}

/// Picks a coder, a small model and a default among `models`.
///
/// Embedding models are never picked, models on other machines only with `allow_cloud`. The coder
/// is known by its name; small is the one with the fewest parameters from a billion on; the default is
/// the largest of the rest that is not over twice the size of what is loaded. Ties go to loaded
/// models, then to the first name. One usable model is all three; `None` when there is none.
pub fn pick(models: &[Installed], allow_cloud: bool) -> Option<Picks> {
    let usable: Vec<_> =
        models.iter().filter(|m| m.chats() && (allow_cloud || !m.remote)).collect();
    let limit = limit(&usable);
    let (coders, others): (Vec<_>, Vec<_>) = usable.iter().copied().partition(|m| m.codes());
    let general = if others.is_empty() { &coders } else { &others };
    let small = smallest(general)?;
    let rest: Vec<_> = general.iter().copied().filter(|m| m.name != small.name).collect();
    let default = largest(&rest, limit).or_else(|| largest(general, limit)).unwrap_or(small);
    let coder = best_coder(&coders, limit);
    let why = [
        if usable.len() == 1 {
            "the only chat model".to_owned()
        } else {
            format!("the largest that fits{}", default.described())
        },
        coder.map_or_else(
            || "no coding model, so the default".to_owned(),
            |coder| format!("a coding model by its name{}", coder.described()),
        ),
        format!("the fewest parameters{}", small.described()),
    ];
    Some(Picks {
        default: default.name.clone(),
        coder: coder.unwrap_or(default).name.clone(),
        small: small.name.clone(),
        why,
    })
}

/// A model that has a capability (`tools`, `vision`): `prefer` if it can, else the best local one that
/// can, else `prefer` when its upstream does not tell what it can. `None` when no model can.
pub fn able(models: &[Installed], capability: &str, prefer: &str) -> Option<String> {
    let preferred = models.iter().find(|model| model.name == prefer);
    if preferred.is_some_and(|model| model.can(capability)) {
        return Some(prefer.to_owned());
    }
    let local: Vec<_> = models.iter().filter(|m| m.chats() && !m.remote).collect();
    let limit = limit(&local);
    let able: Vec<_> = local.into_iter().filter(|model| model.can(capability)).collect();
    let best = largest(&able, limit).or_else(|| smallest(&able));
    let unknown =
        || preferred.filter(|m| m.capabilities.is_empty() && m.chats() && capability != "vision");
    best.or_else(unknown).map(|model| model.name.clone())
}

impl Installed {
    /// Whether one can talk to it.
    // Source: ollama types/model/capability.go: completion, tools, insert, vision, embedding, thinking, image.
    fn chats(&self) -> bool {
        if !self.capabilities.is_empty() {
            return self.has("completion");
        }
        let name = self.name.to_ascii_lowercase();
        let family = self.family.to_ascii_lowercase();
        let embeds = ["embed", "bge-", "minilm", "bge:", "gte-", "e5-", "paraphrase-"];
        !family.contains("bert")
            && !embeds.iter().any(|word| name.contains(word) || family.contains(word))
    }

    /// Whether its name, without the namespace, is that of a coding model.
    fn codes(&self) -> bool {
        let name = name::base(&self.name);
        ["cod", "devstral", "starcoder"].iter().any(|word| name.contains(word))
    }

    /// Whether it is known to have a capability. Old upstreams do not tell; then a name can still say `vision`.
    fn can(&self, capability: &str) -> bool {
        if !self.capabilities.is_empty() || capability != "vision" {
            return self.has(capability);
        }
        let name = name::base(&self.name);
        let family = self.family.to_ascii_lowercase();
        ["llava", "vision", "vl:", "-vl", "moondream", "minicpm-v", "pixtral"]
            .iter()
            .any(|word| name.contains(word))
            || ["clip", "mllama"].iter().any(|word| family.contains(word))
    }

    fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|own| own.eq_ignore_ascii_case(capability))
    }

    /// Billions of parameters: as told, by the name, or guessed from the size; 0 when nothing is known.
    fn billions(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a guess to one digit")]
        let guess = || (self.size > 0).then_some(self.size as f64 / BYTES_PER_BILLION);
        self.parameters
            .or_else(|| name::parameters_in(&self.name))
            .or_else(guess)
            .unwrap_or_default()
    }

    /// Billions, so rounded that models of the same class are equal: 8.0 and 8.2 are.
    fn class(&self) -> f64 {
        let billions = self.billions();
        if billions >= 4.0 { billions.round() } else { (billions * 10.0).round() / 10.0 }
    }

    fn fits(&self, limit: Option<u64>) -> bool {
        self.loaded || self.remote || limit.is_none_or(|limit| self.size <= limit)
    }

    fn described(&self) -> String {
        let billions = self.billions();
        let loaded = if self.loaded { ", loaded" } else { "" };
        if billions > 0.0 { format!(" ({billions:.1} B{loaded})") } else { loaded.to_owned() }
    }
}

/// The largest size in bytes that may be picked; `None` when nothing is loaded.
fn limit(models: &[&Installed]) -> Option<u64> {
    let loaded = models.iter().filter(|model| model.loaded && !model.remote);
    let bytes = loaded.map(|model| model.loaded_bytes.max(model.size)).max()?;
    (bytes > 0).then(|| bytes.saturating_mul(LOADED_TIMES))
}

/// Loaded before unloaded, then by name, so that the pick does not depend on the order of a list.
fn tie(a: &Installed, b: &Installed) -> Ordering {
    b.loaded.cmp(&a.loaded).then_with(|| a.name.cmp(&b.name))
}

fn smallest<'a>(models: &[&'a Installed]) -> Option<&'a Installed> {
    let enough = models.iter().copied().filter(|model| model.billions() >= MIN_BILLIONS);
    let fewest = enough.min_by(|a, b| a.class().total_cmp(&b.class()).then_with(|| tie(a, b)));
    fewest.or_else(|| largest(models, None))
}

fn largest<'a>(models: &[&'a Installed], limit: Option<u64>) -> Option<&'a Installed> {
    let fitting = models.iter().copied().filter(|model| model.fits(limit));
    fitting.min_by(|a, b| b.class().total_cmp(&a.class()).then_with(|| tie(a, b)))
}

/// The largest that fits and can call tools, or the largest that fits, or the smallest of all.
fn best_coder<'a>(coders: &[&'a Installed], limit: Option<u64>) -> Option<&'a Installed> {
    let tools: Vec<_> = coders.iter().copied().filter(|model| model.has("tools")).collect();
    largest(&tools, limit).or_else(|| largest(coders, limit)).or_else(|| smallest(coders))
}

#[cfg(test)]
mod tests;
