//! Lists of models as Ollama writes them.

use crate::{
    chat::Model,
    dialect::{
        json::{self, Fields},
        time::{self, Utc},
    },
};
use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};
use sha2::{Digest, Sha256};

// Source: ollama api/types.go ListModelResponse, ModelDetails. Strings of `details` are never left out.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    model: &'a str,
    modified_at: Utc,
    size: u64,
    digest: String,
    details: Details<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    capabilities: &'a [String],
}

#[derive(Serialize)]
struct Details<'a> {
    parent_model: &'static str,
    format: &'static str,
    family: &'a str,
    families: Vec<&'a str>,
    parameter_size: &'a str,
    quantization_level: &'static str,
}

#[derive(Serialize)]
struct Models<'a> {
    models: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    details: Details<'a>,
    model_info: Info<'a>,
    capabilities: Vec<&'a str>,
    modified_at: Utc,
}

/// What clients are told to assume where the upstream does not say; some treat a missing length as an error.
const ASSUMED_CONTEXT: u64 = 8192;

/// Never null: several clients crash on that. Source: ollama server/routes.go GetModelInfo.
struct Info<'a>(&'a Model);

impl Serialize for Info<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let family = if self.0.family.is_empty() { "unknown" } else { &self.0.family };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("general.architecture", family)?;
        map.serialize_entry("general.basename", &self.0.name)?;
        let context = if self.0.context > 0 { self.0.context } else { ASSUMED_CONTEXT };
        map.serialize_entry(&format!("{family}.context_length"), &context)?;
        map.end()
    }
}

fn details(model: &Model) -> Details<'_> {
    Details {
        parent_model: "",
        format: "",
        family: &model.family,
        families: Some(&*model.family).filter(|family| !family.is_empty()).into_iter().collect(),
        parameter_size: &model.parameters,
        quantization_level: "",
    }
}

pub(super) fn write(models: &[Model]) -> Bytes {
    let models = models
        .iter()
        .map(|model| Listed {
            name: &model.name,
            model: &model.name,
            modified_at: Utc(model.modified_s.saturating_mul(1000)),
            size: model.size,
            // `ollama list` cuts the first 12 characters off and panics when there are fewer.
            digest: hex(&Sha256::digest(model.name.as_bytes())),
            details: details(model),
            capabilities: &model.capabilities,
        })
        .collect();
    json::bytes(&Models { models })
}

pub(super) fn write_one(model: &Model) -> Bytes {
    let capabilities = model.capabilities.iter().map(String::as_str).collect::<Vec<_>>();
    json::bytes(&Shown {
        details: details(model),
        model_info: Info(model),
        capabilities: if capabilities.is_empty() { vec!["completion"] } else { capabilities },
        modified_at: Utc(model.modified_s.saturating_mul(1000)),
    })
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Model>, String> {
    let body = String::from_utf8_lossy(body);
    let said = |error: crate::error::Error| error.to_string();
    let fields = Fields::body(&body).map_err(said)?;
    if !fields.has("models") {
        return Err("no \"models\" in the answer".into());
    }
    Ok(fields.objects("models").map_err(said)?.iter().filter_map(one).collect())
}

fn one(fields: &Fields<'_>) -> Option<Model> {
    let text = |fields: &Fields<'_>, name| fields.raw(name).and_then(json::text);
    let name = text(fields, "model").or_else(|| text(fields, "name"));
    let name = name.filter(|name| !name.is_empty())?;
    let details = fields.object("details").ok().flatten();
    let detail = |name| details.as_ref().and_then(|details| text(details, name));
    let number =
        |fields: &Fields<'_>, name| fields.raw(name).and_then(|raw| raw.get().parse().ok());
    let owner = name.rsplit_once('/').map_or("library", |(owner, _)| owner).to_owned();
    Some(Model {
        name,
        modified_s: text(fields, "modified_at").and_then(|at| time::seconds(&at)).unwrap_or(0),
        owner,
        size: number(fields, "size").unwrap_or(0),
        parameters: detail("parameter_size").unwrap_or_default(),
        family: detail("family").unwrap_or_default(),
        capabilities: fields
            .list("capabilities")
            .unwrap_or_default()
            .into_iter()
            .filter_map(json::text)
            .collect(),
        // Source: ollama api/types.go ProcessModelResponse: beside the details, for a model that is loaded.
        context: number(fields, "context_length")
            .or_else(|| details.and_then(|details| number(&details, "context_length")))
            .unwrap_or(0),
        remote: text(fields, "remote_host").is_some_and(|host| !host.is_empty()),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
