//! Lists of models as Anthropic writes them.

use crate::{
    chat::Model,
    dialect::{
        json::{self, Fields},
        time::{self, Utc},
    },
};
use bytes::Bytes;
use serde::Serialize;

/// The capability of a model that can be told how hard to think, and not for how many tokens.
pub const ADAPTIVE: &str = "adaptive-thinking";

// Source: anthropic-python types/model_info.py. A date that is not known is "an epoch value".
#[derive(Serialize)]
struct Listed<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: Utc,
    lifecycle: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
}

// Source: anthropic-python pagination.py.
#[derive(Serialize)]
struct List<'a> {
    data: Vec<Listed<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

fn listed(model: &Model) -> Listed<'_> {
    Listed {
        r#type: "model",
        id: &model.name,
        display_name: &model.name,
        created_at: Utc(model.modified_s.saturating_mul(1000)),
        lifecycle: "active",
        max_input_tokens: Some(model.context).filter(|context| *context > 0),
    }
}

pub(super) fn write(models: &[Model]) -> Bytes {
    json::bytes(&List {
        data: models.iter().map(listed).collect(),
        has_more: false,
        first_id: models.first().map(|model| &*model.name),
        last_id: models.last().map(|model| &*model.name),
    })
}

pub(super) fn write_one(model: &Model) -> Bytes {
    json::bytes(&listed(model))
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Model>, String> {
    let body = String::from_utf8_lossy(body);
    let said = |error: crate::error::Error| error.to_string();
    let fields = Fields::body(&body).map_err(said)?;
    if !fields.has("data") {
        return Err("no \"data\" in the answer".into());
    }
    Ok(fields.objects("data").map_err(said)?.iter().filter_map(one).collect())
}

fn one(fields: &Fields<'_>) -> Option<Model> {
    let text = |name| fields.raw(name).and_then(json::text);
    let created = text("created_at").and_then(|at| time::seconds(&at));
    let context = fields.raw("max_input_tokens").and_then(|raw| raw.get().parse().ok());
    Some(Model {
        name: text("id").filter(|id| !id.is_empty())?,
        modified_s: created.unwrap_or(0),
        owner: "anthropic".into(),
        context: context.unwrap_or(0),
        capabilities: capabilities(fields).unwrap_or_default(),
        ..Model::default()
    })
}

/// What the model can do, in Ollama's words; nothing where the upstream does not say.
// Source: anthropic-python types/model_capabilities.py, types/thinking_types.py.
fn capabilities(fields: &Fields<'_>) -> Option<Vec<String>> {
    let can = fields.object("capabilities").ok()??;
    let supported = |fields: &Fields<'_>, name: &str| {
        let one = fields.object(name).ok()??;
        one.bool("supported").ok()?
    };
    let mut list = vec!["completion".to_owned(), "tools".to_owned()];
    if supported(&can, "image_input") == Some(true) {
        list.push("vision".to_owned());
    }
    if let Some(thinking) = can.object("thinking").ok().flatten()
        && thinking.bool("supported").ok().flatten() == Some(true)
    {
        list.push("thinking".to_owned());
        let types = thinking.object("types").ok().flatten();
        let budget = types.as_ref().and_then(|types| supported(types, "enabled"));
        if budget == Some(false) {
            list.push(ADAPTIVE.to_owned());
        }
    }
    Some(list)
}
