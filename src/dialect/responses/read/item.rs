//! Reads the items of a conversation. What the assistant thought, said and called in a row is one message.

use super::{WEB_SEARCH, content};
use crate::{
    chat::{Call, Message},
    dialect::{
        alike::untranslatable,
        json::{self, Fields},
        responses::item::unsealed,
    },
    error::Error,
};
use serde_json::value::RawValue;

pub(super) fn all(
    fields: &Fields<'_>,
    messages: &mut Vec<Message>,
    dropped: &mut Vec<&'static str>,
) -> Result<(), Error> {
    let wrong = || {
        fields.wrong("input", "a string that says something, or a list of items, with at least one")
    };
    match fields.raw("input") {
        Some(raw) if json::is_list(raw) => {
            let items = fields.objects("input")?;
            if items.is_empty() {
                return Err(wrong());
            }
            for item in &items {
                read(item, messages, dropped)?;
            }
        }
        Some(raw) => {
            let text = json::text(raw).filter(|text| !text.trim().is_empty());
            messages.push(Message::new("user", &text.ok_or_else(wrong)?));
        }
        None => return Err(wrong()),
    }
    Ok(())
}

fn read(
    item: &Fields<'_>,
    messages: &mut Vec<Message>,
    dropped: &mut Vec<&'static str>,
) -> Result<(), Error> {
    let kind = item.string("type")?;
    // Short forms: a message of nothing but a role and a content, a reference of nothing but an id.
    let short = if item.has("role") { "message" } else { "item_reference" };
    match kind.as_deref().unwrap_or(short) {
        "message" => message(item, messages),
        "reasoning" => reasoning(item, assistant(messages)),
        "function_call" => {
            let call = called(item)?;
            assistant(messages).calls.push(call);
            Ok(())
        }
        "function_call_output" => {
            let answer = answered(item, messages)?;
            messages.push(answer);
            Ok(())
        }
        // What was found is in what the assistant said afterwards.
        "web_search_call" => {
            if !dropped.contains(&WEB_SEARCH) {
                dropped.push(WEB_SEARCH);
            }
            Ok(())
        }
        "item_reference" if item.has("id") => {
            let why = "the upstream of this model keeps no items; send the item itself";
            Err(untranslatable(&item.path("id"), why))
        }
        "item_reference" => Err(item.wrong("type", "message, function_call or another item")),
        kind => {
            let why = format!(
                "items of the type {kind:?} have no translation; messages, reasoning and functions with their results have"
            );
            Err(untranslatable(&item.path("type"), &why))
        }
    }
}

/// The assistant's turn, which may have to begin.
fn assistant(messages: &mut Vec<Message>) -> &mut Message {
    if messages.last().is_none_or(|message| message.role != "assistant") {
        messages.push(Message { role: "assistant".into(), ..Message::default() });
    }
    let last = messages.len() - 1;
    &mut messages[last]
}

fn message(item: &Fields<'_>, messages: &mut Vec<Message>) -> Result<(), Error> {
    let content = content::read(item, "content")?;
    let role = match item.string("role")?.as_deref() {
        Some("assistant") => {
            assistant(messages).content.extend(content);
            return Ok(());
        }
        Some("user") => "user",
        Some("system" | "developer") => "system",
        _ => return Err(item.wrong("role", "user, assistant, system or developer")),
    };
    messages.push(Message { role: role.into(), content, ..Message::default() });
    Ok(())
}

/// What was thought: its summary, or all of it where there is none.
fn reasoning(item: &Fields<'_>, message: &mut Message) -> Result<(), Error> {
    let mut texts = Vec::new();
    for name in ["summary", "content"] {
        if texts.is_empty() {
            for part in item.objects(name)? {
                texts.extend(part.string("text")?);
            }
        }
    }
    if !texts.is_empty() {
        let thinking = message.thinking.get_or_insert_default();
        if !thinking.is_empty() {
            thinking.push_str("\n\n");
        }
        thinking.push_str(&texts.join("\n\n"));
    }
    let encrypted = item.string("encrypted_content")?;
    if let Some(seal) = encrypted.as_deref().and_then(unsealed) {
        message.signature = Some(seal.to_owned());
        message.thinking.get_or_insert_default();
    }
    Ok(())
}

fn called(item: &Fields<'_>) -> Result<Call, Error> {
    let filled = |name: &str| {
        let text = item.string(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| item.wrong(name, "a string that is not empty"))
    };
    let text = item.string("arguments")?.unwrap_or_default();
    let arguments = if text.trim().is_empty() { "{}" } else { text.trim() };
    let object = serde_json::from_str::<&RawValue>(arguments)
        .is_ok_and(|arguments| arguments.get().starts_with('{'));
    if !object {
        return Err(item.wrong("arguments", "a JSON object as a string"));
    }
    Ok(Call {
        id: Some(filled("call_id")?),
        name: filled("name")?,
        arguments: json::compact(arguments),
    })
}

fn answered(item: &Fields<'_>, before: &[Message]) -> Result<Message, Error> {
    let id = item.string("call_id")?.unwrap_or_default();
    let mut calls = before.iter().rev().flat_map(|message| message.calls.iter().rev());
    let call = calls.find(|call| call.id.as_deref() == Some(&id)).ok_or_else(|| {
        // The API's own words.
        Error::BadRequest(format!(
            "No tool call found for function call output with call_id {id} ({})",
            item.path("call_id")
        ))
    })?;
    Ok(Message {
        role: "tool".into(),
        content: content::read(item, "output")?,
        tool_name: Some(call.name.clone()),
        call_id: Some(id),
        ..Message::default()
    })
}
