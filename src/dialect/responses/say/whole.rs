//! Writes unstreamed answers.

use super::super::{
    echo,
    item::{Item, Kind, Response, Status, ended},
};
use crate::{
    chat::{Answer, Said},
    dialect::{Reply, json},
};
use bytes::Bytes;

/// An unstreamed answer.
pub(in crate::dialect::responses) fn whole(
    answer: Answer,
    reply: &Reply,
    now_ms: u64,
) -> Result<Bytes, String> {
    let Answer::Said(said) = answer else {
        return Err("vectors are no response".into());
    };
    let (finish, usage) = (said.finish, said.usage);
    let status = ended(finish);
    let mut items: Vec<Item> = Vec::new();
    for kind in kinds(said, reply, status) {
        items.push(Item::new(reply, items.len(), kind));
    }
    let last = items.len().saturating_sub(1);
    for (at, item) in items.iter_mut().enumerate() {
        item.status = if at == last { status } else { Status::Completed };
    }
    Ok(json::bytes(&Response {
        reply,
        id: &super::id(reply),
        status,
        finish,
        output: &items,
        usage: Some(usage),
        completed_ms: (status == Status::Completed).then_some(now_ms),
        echo: &reply.wishes.echo.clone().unwrap_or_else(echo::nothing),
    }))
}

fn kinds(said: Said, reply: &Reply, status: Status) -> Vec<Kind> {
    let Said { text, thinking, signature, calls, tokens, .. } = said;
    let mut kinds = Vec::new();
    if !(thinking.is_empty() && signature.is_empty()) {
        kinds.push(Kind::Reasoning { summary: thinking, seal: signature });
    }
    // An answer without words has a message without words.
    let silent = calls.is_empty() && status == Status::Completed;
    if !(text.is_empty() && tokens.is_empty()) || silent {
        kinds.push(Kind::Message { text, tokens });
    }
    kinds.extend(calls.into_iter().enumerate().map(|(index, call)| Kind::Call {
        call_id: call.id.unwrap_or_else(|| reply.call_id(index)),
        name: call.name,
        arguments: match &*call.arguments {
            "" if status == Status::Completed => "{}".into(),
            _ => call.arguments,
        },
    }));
    kinds
}
