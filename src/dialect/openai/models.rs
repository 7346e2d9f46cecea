//! Lists of models as OpenAI writes them.

use crate::{
    chat::Model,
    dialect::json::{self, Fields},
};
use bytes::Bytes;
use serde::Serialize;

// Source: openai-python types/model.py.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    // `[]` when there are none: Ollama's own /v1 says null, which some clients do not take.
    data: Vec<Listed<'a>>,
}

fn listed(model: &Model) -> Listed<'_> {
    let owned_by = if model.owner.is_empty() { "library" } else { &model.owner };
    Listed { id: &model.name, object: "model", created: model.modified_s, owned_by }
}

pub(super) fn write(models: &[Model]) -> Bytes {
    json::bytes(&List { object: "list", data: models.iter().map(listed).collect() })
}

pub(super) fn write_one(model: &Model) -> Bytes {
    json::bytes(&listed(model))
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Model>, String> {
    let body = String::from_utf8_lossy(body);
    let said = |error: crate::error::Error| error.to_string();
    let fields = Fields::body(&body).map_err(said)?;
    if !fields.has("data") && fields.raw("object").and_then(json::text).as_deref() != Some("list") {
        return Err("no \"data\" in the answer".into());
    }
    Ok(fields.objects("data").map_err(said)?.iter().filter_map(one).collect())
}

fn one(fields: &Fields<'_>) -> Option<Model> {
    let text = |name| fields.raw(name).and_then(json::text);
    let number = |name| fields.raw(name).and_then(|raw| raw.get().parse().ok());
    Some(Model {
        name: text("id").filter(|id| !id.is_empty())?,
        modified_s: number("created").unwrap_or(0),
        owner: text("owned_by").unwrap_or_default(),
        // vLLM and Groq say how long a prompt may be.
        context: number("max_model_len").or_else(|| number("context_window")).unwrap_or(0),
        ..Model::default()
    })
}
