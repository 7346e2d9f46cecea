//! Reads unstreamed answers.

use super::{
    Reader, failed,
    shape::{Choice, Chunk},
    usage,
};
use crate::{
    chat::{Answer, Delta, Finish, Said, Vector},
    dialect::{
        Operation, Unread, Usage, base64, failure,
        json::{self, Fields},
    },
};
use http::StatusCode;
use serde_json::value::RawValue;

pub(in crate::dialect::openai) fn whole(
    operation: Operation,
    body: &[u8],
) -> Result<Answer, Unread> {
    if matches!(operation, Operation::Embed | Operation::EmbedOne) {
        return vectors(body);
    }
    let mut room = None;
    let chunk = json::read::<Chunk<'_>>(body, &mut room).map_err(|error| {
        match body.trim_ascii_start().starts_with(b"[") {
            true => Unread::Failed(failure::read(StatusCode::BAD_GATEWAY, body).0),
            false => Unread::Strange(json::why(&error)),
        }
    })?;
    if let Some(error) = failed(&chunk) {
        return Err(Unread::Failed(error));
    }
    let mut said = Said {
        usage: chunk
            .usage
            .or(chunk.x_groq.and_then(|groq| groq.usage))
            .map(usage)
            .unwrap_or_default(),
        ..Said::default()
    };
    let first = |choice: &Choice<'_>| choice.index.0.unwrap_or(0) == 0;
    let Some(choice) = chunk.choices.unwrap_or_default().into_iter().find(first) else {
        return Err(Unread::Strange("no \"choices\" in the answer".into()));
    };
    // Ollama's /v1 says null when its own answer was cut short; who leaves it out means nothing by it.
    let silent = choice.finish_reason.0.is_none();
    let mut deltas = Vec::new();
    Reader::default().choice(choice, &mut deltas);
    for delta in deltas {
        match delta {
            Delta::Error(message) => return Err(Unread::Failed(message)),
            delta => said.add(delta),
        }
    }
    if silent {
        said.finish = Some(Finish::Other);
    }
    Ok(Answer::Said(said))
}

fn vectors(body: &[u8]) -> Result<Answer, Unread> {
    let strange = |error: crate::error::Error| Unread::Strange(error.to_string());
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).map_err(strange)?;
    if let Some(error) = fields.raw("error").and_then(failure::words) {
        return Err(Unread::Failed(error));
    }
    if !fields.has("data") {
        return Err(Unread::Strange("no \"data\" in the answer".into()));
    }
    let mut list = Vec::new();
    for (place, item) in fields.objects("data").map_err(strange)?.iter().enumerate() {
        let raw = item.raw("embedding");
        let vector = raw.and_then(vector).ok_or_else(|| {
            Unread::Strange(format!("data[{place}].embedding is neither numbers nor base64"))
        })?;
        let index = item.raw("index").and_then(|raw| raw.get().parse().ok()).unwrap_or(place);
        list.push((index, vector));
    }
    list.sort_by_key(|(index, _)| *index);
    let counts = fields.raw("usage").and_then(|raw| serde_json::from_str(raw.get()).ok());
    Ok(Answer::Vectors {
        vectors: list.into_iter().map(|(_, vector)| vector).collect(),
        usage: Usage { completion: None, ..counts.map(usage).unwrap_or_default() },
    })
}

fn vector(raw: &RawValue) -> Option<Vector> {
    if let Some(text) = json::text(raw) {
        return base64::decode_floats(&text).map(Vector::Floats);
    }
    serde_json::from_str::<Vec<f32>>(raw.get()).ok().map(|_| Vector::Written(raw.to_owned()))
}
