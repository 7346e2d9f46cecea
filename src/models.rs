//! Lists and details of models in both dialects' forms, made from what upstreams said and from what is virtual.
//!
//! Pure functions. What an Ollama wrote of its own models stays as it wrote it; what is made up has every field that
//! strict clients read.

use crate::{
    catalog::{Catalog, Listed, Listing, bare},
    chat::Model,
    dialect::{Dialect, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI},
    pick::{self, Installed},
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// The virtual model; `auto:<rule>` names a rule.
pub const AUTO: &str = "auto";

/// Which virtual models there may be.
#[derive(Clone, Debug, Default)]
pub struct Auto {
    /// The names that may stand behind `auto:`.
    pub rules: Vec<String>,
    /// Whether the configuration names a default model, so that `auto` works whatever is installed.
    pub configured: bool,
}

/// Reads `/api/tags`, with `/api/ps` for what is loaded; what cannot be read is left out.
pub fn read_tags(tags: &[u8], ps: &[u8]) -> Vec<Listed> {
    let entries = entries(tags, "models");
    let loaded = OLLAMA.read_models(ps).unwrap_or_default();
    let models = OLLAMA.read_models(tags).unwrap_or_default();
    let listed = models.into_iter().map(|mut model| {
        let entry = entries.iter().find(|entry| entry["name"] == *model.name);
        let entry = entry.cloned().unwrap_or_else(|| one(&OLLAMA, &model));
        let loaded = loaded.iter().find(|loaded| loaded.name == model.name);
        if let Some(context) = loaded.map(|loaded| loaded.context).filter(|context| *context > 0) {
            model.context = context;
        }
        let installed = Installed {
            name: model.name.clone(),
            parameters: pick::parameters(&model.parameters),
            capabilities: model.capabilities.clone(),
            family: model.family.clone(),
            remote: model.remote,
            loaded: loaded.is_some(),
            loaded_bytes: loaded.map_or(0, |loaded| loaded.size),
            size: model.size,
        };
        Listed { name: model.name.as_str().into(), entry, model, installed }
    });
    listed.collect()
}

/// Reads `/v1/models` as this dialect writes it, OpenAI's or Anthropic's; `data: null` is an empty list.
pub fn read_list(dialect: &dyn Dialect, list: &[u8]) -> Vec<Listed> {
    let entries = entries(list, "data");
    let models = dialect.read_models(list).unwrap_or_default();
    let listed = models.into_iter().map(|model| {
        let entry = entries.iter().find(|entry| entry["id"] == *model.name).cloned();
        Listed { entry: entry.unwrap_or_else(|| one(dialect, &model)), ..named(model) }
    });
    listed.collect()
}

/// A model as far as its list entry tells.
pub fn named(model: Model) -> Listed {
    let installed = Installed { name: model.name.clone(), ..Installed::default() };
    Listed { name: model.name.as_str().into(), entry: one(&OPENAI, &model), model, installed }
}

/// `/api/version`.
pub fn read_version(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["version"].as_str().filter(|version| !version.is_empty()).map(str::to_owned)
}

/// `GET /api/tags` for everything there is: Ollama's own entries untouched and first, then those of other upstreams,
/// then the virtual ones.
pub fn tags(catalog: &Catalog, home: &str, auto: &Auto) -> Bytes {
    let mut all: Vec<Value> = Vec::new();
    for (_, listing) in ordered(catalog, home) {
        for model in &listing.models {
            push_new(&mut all, "name", as_written(&OLLAMA, listing.tagged, model));
        }
    }
    for name in virtual_names(catalog, auto) {
        let shape = behind(catalog, home, &name);
        let name = format!("{name}{}", if name.contains(':') { "" } else { ":latest" });
        let mut entry = match shape {
            Some(shape) => shape.entry.clone(),
            None => one(&OLLAMA, &Model { name: name.clone(), ..Model::default() }),
        };
        entry["name"] = name.as_str().into();
        entry["model"] = name.into();
        push_new(&mut all, "name", entry);
    }
    json!({ "models": all }).to_string().into()
}

/// `GET /v1/models` for everything there is, in the same order.
pub fn list(catalog: &Catalog, home: &str, auto: &Auto) -> Bytes {
    let mut all: Vec<Value> = Vec::new();
    for (upstream, listing) in ordered(catalog, home) {
        for model in &listing.models {
            push_new(&mut all, "id", openai_entry(upstream, listing, model));
        }
    }
    for name in virtual_names(catalog, auto) {
        push_new(&mut all, "id", virtual_entry(&name));
    }
    json!({ "object": "list", "data": all }).to_string().into()
}

/// The same as Anthropic lists it: all on one page.
pub fn page(catalog: &Catalog, home: &str, auto: &Auto) -> Bytes {
    let mut all: Vec<Value> = Vec::new();
    for (_, listing) in ordered(catalog, home) {
        for model in &listing.models {
            push_new(&mut all, "id", anthropic_entry(model));
        }
    }
    for name in virtual_names(catalog, auto) {
        push_new(&mut all, "id", one(&ANTHROPIC, &Model { name, ..Model::default() }));
    }
    let id = |entry: Option<&Value>| entry.map(|entry| entry["id"].clone());
    let (first, last) = (id(all.first()), id(all.last()));
    json!({ "data": all, "has_more": false, "first_id": first, "last_id": last }).to_string().into()
}

/// `GET /v1/models/{id}` as this dialect tells it; `None` for a name that nobody has.
pub fn detail(
    dialect: &dyn Dialect,
    catalog: &Catalog,
    home: &str,
    auto: &Auto,
    id: &str,
) -> Option<Bytes> {
    let anthropic = dialect.name() == "anthropic";
    let wanted = bare(id);
    if virtual_names(catalog, auto).iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
        let entry = match anthropic {
            true => one(&ANTHROPIC, &Model { name: id.to_owned(), ..Model::default() }),
            false => virtual_entry(id),
        };
        return Some(entry.to_string().into());
    }
    let found = catalog.find(id, home)?;
    let listing = catalog.upstreams.get(&found.upstream)?;
    let model = listing.models.iter().find(|model| model.name == found.model)?;
    let mut entry = match anthropic {
        true => anthropic_entry(model),
        false => openai_entry(&found.upstream, listing, model),
    };
    entry["id"] = id.into();
    Some(entry.to_string().into())
}

/// `POST /api/show` for a model of an upstream that has no such route.
pub fn show(model: &Listed) -> Bytes {
    OLLAMA.write_model(&model.model)
}

/// `POST /api/pull` where nothing can be fetched: success for a model that is there already.
///
/// Source: ollama server/images.go PullModel: a model that does not exist is said in the second line of a 200.
pub fn pulled(there: bool, stream: bool) -> Bytes {
    let last: &[u8] = match there {
        true => b"{\"status\":\"success\"}",
        false => b"{\"error\":\"pull model manifest: file does not exist\"}",
    };
    if stream {
        return [b"{\"status\":\"pulling manifest\"}\n", last, b"\n"].concat().into();
    }
    Bytes::from_static(last)
}

/// The virtual models that exist: none while no model stands behind them.
pub fn virtual_names(catalog: &Catalog, auto: &Auto) -> Vec<String> {
    if !auto.configured && catalog.picks.is_none() {
        return Vec::new();
    }
    let named = auto.rules.iter().map(|rule| format!("{AUTO}:{rule}"));
    std::iter::once(AUTO.to_owned()).chain(named).collect()
}

fn ordered<'a>(
    catalog: &'a Catalog,
    home: &'a str,
) -> impl Iterator<Item = (&'a Arc<str>, &'a Listing)> {
    let first = catalog.upstreams.get_key_value(home);
    first.into_iter().chain(catalog.upstreams.iter().filter(move |(name, _)| &***name != home))
}

/// The model whose size and abilities a virtual one shows: its role's, else the default.
fn behind<'a>(catalog: &'a Catalog, home: &str, name: &str) -> Option<&'a Listed> {
    let picks = catalog.picks.as_ref()?;
    let name = match name.split_once(':').map(|(_, role)| role) {
        Some("coder" | "code") => &picks.coder,
        Some("small" | "short") => &picks.small,
        _ => &picks.default,
    };
    catalog.model(home, name)
}

/// The entry as its upstream wrote it, where it speaks this dialect; else as this dialect writes it.
fn as_written(dialect: &dyn Dialect, same: bool, model: &Listed) -> Value {
    if same { model.entry.clone() } else { one(dialect, &model.model) }
}

/// Whether an entry is as Anthropic writes them. Source: anthropic-python types/model_info.py.
fn is_anthropics(entry: &Value) -> bool {
    entry["type"] == "model" && entry["display_name"].is_string()
}

fn anthropic_entry(model: &Listed) -> Value {
    as_written(&ANTHROPIC, is_anthropics(&model.entry), model)
}

fn openai_entry(upstream: &str, listing: &Listing, model: &Listed) -> Value {
    let same = !listing.tagged && !is_anthropics(&model.entry);
    let mut entry = as_written(&OPENAI, same, model);
    // Strict clients read all four; not every upstream writes them.
    entry["object"] = "model".into();
    if !entry["created"].is_number() {
        entry["created"] = 0.into();
    }
    if !entry["owned_by"].is_string() {
        entry["owned_by"] = upstream.into();
    }
    entry
}

fn virtual_entry(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": "unigate" })
}

fn push_new(all: &mut Vec<Value>, field: &str, entry: Value) {
    if !all.iter().any(|known| known[field] == entry[field]) {
        all.push(entry);
    }
}

/// One model's list entry in a dialect.
fn one(dialect: &dyn Dialect, model: &Model) -> Value {
    let list = dialect.write_models(std::slice::from_ref(model));
    let field = if dialect.name() == "ollama" { "models" } else { "data" };
    entries(&list, field).pop().unwrap_or_default()
}

fn entries(list: &[u8], field: &str) -> Vec<Value> {
    let list: Value = serde_json::from_slice(list).unwrap_or_default();
    match list.get(field) {
        Some(Value::Array(entries)) => entries.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &[u8] = br#"{"models":[{"name":"llama3.1:8b","model":"llama3.1:8b","modified_at":"2024-05-04T17:37:44.706015396-07:00","size":5,"digest":"abcdefabcdefabcd","details":{"parameter_size":"8.0B","family":"llama"},"capabilities":["completion","tools"],"extra":{"kept":1}}]}"#;

    fn catalog() -> Catalog {
        let ollama = Listing { models: read_tags(TAGS, b"{}"), tagged: true, ..Listing::default() };
        let cloud = read_list(
            &OPENAI,
            br#"{"data":[{"id":"gpt-4o","created":1700000000,"max_model_len":9}]}"#,
        );
        let cloud = Listing { models: cloud, tagged: false, ..Listing::default() };
        let upstreams = [("ollama".into(), ollama), ("cloud".into(), cloud)];
        Catalog::new(upstreams.into(), "ollama", false)
    }

    #[test]
    fn a_loaded_model_looks_at_what_it_was_loaded_with() {
        let tags = br#"{"models":[{"name":"a:1b","details":{"context_length":131072}},{"name":"b:1b","details":{"context_length":131072}}]}"#;
        let ps = br#"{"models":[{"name":"a:1b","details":{},"context_length":4096}]}"#;
        let listed = read_tags(tags, ps);
        assert_eq!([listed[0].model.context, listed[1].model.context], [4096, 131_072]);
    }

    fn parse(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn tags_keep_what_ollama_wrote_and_make_the_rest_whole() {
        let tags = parse(&tags(
            &catalog(),
            "ollama",
            &Auto { rules: vec!["coder".into()], configured: false },
        ));
        let names: Vec<_> =
            tags["models"].as_array().unwrap().iter().map(|m| m["name"].clone()).collect();
        assert_eq!(names, ["llama3.1:8b", "gpt-4o", "auto:latest", "auto:coder"]);
        assert_eq!(tags["models"][0]["extra"]["kept"], 1);
        assert_eq!(tags["models"][2]["details"]["family"], "llama");
        for model in tags["models"].as_array().unwrap() {
            assert!(model["digest"].as_str().unwrap().len() >= 12, "{model}");
            assert!(model["size"].is_u64() && model["modified_at"].is_string(), "{model}");
        }
    }

    #[test]
    fn the_list_has_every_model_and_is_never_null() {
        let list = parse(&list(&catalog(), "ollama", &Auto::default()));
        assert_eq!(list["data"][0]["id"], "llama3.1:8b");
        assert_eq!(list["data"][0]["created"], 1_714_869_464);
        assert_eq!(list["data"][1]["owned_by"], "cloud");
        assert_eq!(list["data"][2]["id"], "auto");
        let empty = Catalog::default();
        assert_eq!(parse(&super::list(&empty, "ollama", &Auto::default()))["data"], json!([]));
        assert_eq!(parse(&super::tags(&empty, "ollama", &Auto::default()))["models"], json!([]));
    }

    #[test]
    fn a_detail_answers_to_the_name_it_was_asked_by() {
        let catalog = catalog();
        let of =
            |id: &str| detail(&OPENAI, &catalog, "ollama", &Auto::default(), id).map(|b| parse(&b));
        assert_eq!(of("LLAMA3.1:8b").unwrap()["id"], "LLAMA3.1:8b");
        assert_eq!(of("auto").unwrap()["owned_by"], "unigate");
        assert_eq!(of("gpt-4o").unwrap()["id"], "gpt-4o");
        assert!(of("nothing").is_none());
    }

    #[test]
    fn golden_76_an_anthropic_client_gets_one_page_of_everything() {
        let claude = br#"{"data":[{"type":"model","id":"claude-x","display_name":"X",
            "created_at":"2026-01-01T00:00:00Z","max_tokens":9}],"has_more":false}"#;
        let claude = Listing { models: read_list(&ANTHROPIC, claude), ..Listing::default() };
        let mut catalog = catalog();
        catalog.upstreams.insert("anthropic".into(), claude);
        let page = parse(&super::page(&catalog, "ollama", &Auto::default()));
        let ids: Vec<_> =
            page["data"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
        assert_eq!(ids, ["llama3.1:8b", "claude-x", "gpt-4o", "auto"]);
        assert_eq!((&page["first_id"], &page["last_id"]), (&json!("llama3.1:8b"), &json!("auto")));
        assert_eq!(page["has_more"], false);
        assert_eq!(page["data"][0]["created_at"], "2024-05-05T00:37:44.000Z");
        assert_eq!(page["data"][1]["max_tokens"], 9);
        for model in page["data"].as_array().unwrap() {
            assert_eq!(
                (&model["type"], model["display_name"].is_string()),
                (&json!("model"), true)
            );
        }
        let list = parse(&list(&catalog, "ollama", &Auto::default()));
        assert_eq!(
            (&list["data"][1]["object"], &list["data"][1]["type"]),
            (&json!("model"), &Value::Null)
        );
        let empty = parse(&super::page(&Catalog::default(), "ollama", &Auto::default()));
        assert_eq!(
            empty,
            json!({ "data": [], "has_more": false, "first_id": null, "last_id": null })
        );
        let of = |id: &str| detail(&ANTHROPIC, &catalog, "ollama", &Auto::default(), id);
        assert_eq!(parse(&of("gpt-4o").unwrap())["type"], "model");
        assert_eq!(parse(&of("auto").unwrap())["id"], "auto");
    }

    #[test]
    fn a_shown_model_always_has_an_object_of_information() {
        let shown = parse(&show(&catalog().upstreams["cloud"].models[0]));
        assert!(shown["model_info"].is_object());
        assert_eq!(shown["model_info"]["unknown.context_length"], 9);
    }
}
