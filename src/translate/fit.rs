//! Whether a prompt fits what the model looks at: an Ollama cuts what does not, and says nothing.

use crate::{
    chat::{Message, Number, Request, Task},
    dialect::Prompt,
};
use serde_json::value::RawValue;

/// A word to the client when its prompt will be cut; `context` is what the model looks at, 0 when not known.
///
/// The count is an estimate, as the router's rules count. Nothing is said where the client forbids to cut: then Ollama
/// refuses.
pub(super) fn warning(request: &Request, context: u64) -> Option<String> {
    let (bytes, cut) = match &request.task {
        Task::Chat(conversation) => {
            let parameters =
                |raw: &Option<Box<RawValue>>| raw.as_ref().map_or(0, |raw| raw.get().len());
            let tools = conversation.tools.iter().map(|tool| {
                let description = tool.description.as_ref().map_or(0, String::len);
                tool.name.len() + description + parameters(&tool.parameters)
            });
            let messages = conversation.messages.iter().map(said);
            (messages.chain(tools).sum(), "the oldest messages")
        }
        Task::Complete(completion) => {
            let parts =
                [Some(&completion.prompt), completion.suffix.as_ref(), completion.system.as_ref()];
            (parts.into_iter().flatten().map(String::len).sum(), "its beginning")
        }
        Task::Embed(_) => return None,
    };
    let asked = request.native.options.iter().rev().find(|(name, _)| name == "num_ctx");
    let asked = asked.and_then(|(_, raw)| Number::new(raw)).map(|number| number.value() as u64);
    let context = asked.filter(|asked| *asked > 0).unwrap_or(context);
    let tokens = Prompt { bytes, ..Prompt::default() }.estimated_tokens() as u64;
    let cuts = request.native.truncate != Some(false) && context > 0 && tokens > context;
    cuts.then(|| {
        format!(
            "the prompt has about {tokens} tokens, the model looks at {context}: Ollama cuts {cut}"
        )
    })
}

fn said(message: &Message) -> usize {
    let calls = message.calls.iter().map(|call| call.name.len() + call.arguments.len());
    message.text().len() + calls.sum::<usize>()
}
