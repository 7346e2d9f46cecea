//! What is kept beside the bytes of an answer, and how they become the answer to another form of the question.

use crate::{
    chat::Answer,
    dialect::{self, Operation, Reply, Usage},
    front::{Ask, Front},
    record::{Decision, Record, Served, now_ms},
    translate,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an entry must remember beside its bytes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) streamed: bool,
    /// Whether the bytes show the usage themselves.
    pub(super) usage: bool,
    #[serde(flatten)]
    pub(super) tokens: Usage,
    pub(super) upstream: String,
    pub(super) model: Option<String>,
    pub(super) dialect: String,
    pub(super) rule: String,
    pub(super) why: String,
}

/// The entry in the form that was asked for, when it is kept in the other one.
pub(super) fn convert(
    front: Front,
    ask: &Ask,
    wishes: dialect::Wishes,
    meta: &Meta,
    body: &Bytes,
) -> Option<Bytes> {
    let operation = front.operation?;
    let model = meta.model.as_deref().or(ask.model.as_deref())?.into();
    let id = Uuid::new_v4().simple().to_string().into();
    let reply = Reply { wishes, ..Reply::new(id, now_ms(), model) };
    let whole = if meta.streamed {
        translate::unstream(front.dialect, operation, body, &reply)?
    } else {
        body.clone()
    };
    let whole = with_usage(front, operation, whole, meta, &reply)?;
    if !ask.stream {
        return Some(whole);
    }
    translate::restream(front.dialect, operation, &whole, &reply)
}

/// A stream whose client did not ask for usage has none; the entry remembers it beside the bytes.
fn with_usage(
    front: Front,
    operation: Operation,
    whole: Bytes,
    meta: &Meta,
    reply: &Reply,
) -> Option<Bytes> {
    if !meta.streamed || meta.usage || !meta.tokens.is_known() {
        return Some(whole);
    }
    let Answer::Said(mut said) = front.dialect.read_answer(operation, &whole).ok()? else {
        return Some(whole);
    };
    said.usage = meta.tokens;
    front.dialect.write_answer(operation, Answer::Said(said), reply, reply.created_ms).ok()
}

/// The record of a request that is answered from an entry.
pub(super) fn tell(record: &Record, meta: &Meta) {
    let _ = record.usage.set(meta.tokens);
    let _ = record
        .route
        .set(Decision { rule: meta.rule.as_str().into(), why: meta.why.as_str().into() });
    let dialect = dialect::named(&meta.dialect).map_or("", dialect::Dialect::name);
    record.replay(Served {
        upstream: meta.upstream.as_str().into(),
        model: meta.model.as_deref().map(Into::into),
        dialect,
    });
}
