//! Makes a request suit where it goes: the size of its pictures, what the model can do, and what was said beside the body.

use super::Aim;
use crate::{
    chat::{self, Media, Message, Source, Think},
    error::Error,
};

/// Refuses a picture of more than `most` bytes; 0 is any size.
pub(super) fn weigh(request: &chat::Request, most: usize) -> Result<(), Error> {
    let too_large = |media: &&Media| match &media.source {
        Source::Base64(base64) if media.mime.starts_with("image/") => {
            base64.len() / 4 * 3 > most.next_multiple_of(3)
        }
        Source::Base64(_) | Source::Url(_) => false,
    };
    let found = match &request.task {
        _ if most == 0 => None,
        chat::Task::Chat(conversation) => {
            conversation.messages.iter().flat_map(Message::media).find(too_large)
        }
        chat::Task::Complete(completion) => completion.media.iter().find(too_large),
        chat::Task::Embed(_) => None,
    };
    match found {
        Some(media) => Err(Error::BadRequest(format!(
            "{} must be at most {most} bytes (translate.max_image_bytes)",
            media.place
        ))),
        None => Ok(()),
    }
}

/// Leaves out what this very model cannot do, and adds what the client said beside the body.
pub(super) fn suit(request: &mut chat::Request, aim: &Aim) {
    let can = &aim.model.capabilities;
    let thinks = can.is_empty() || can.iter().any(|ability| ability == "thinking");
    let think = match &mut request.task {
        chat::Task::Chat(conversation) => &mut conversation.think,
        chat::Task::Complete(completion) => &mut completion.think,
        chat::Task::Embed(_) => &mut None,
    };
    // Ollama refuses to let a model think that cannot, and never minds one that is told not to.
    if !thinks && think.take_if(|think| *think != Think::Off).is_some() {
        request.dropped.push("think");
    }
    let native = &mut request.native;
    native.keep_alive = native.keep_alive.take().or_else(|| aim.native.keep_alive.clone());
    for (name, raw) in &aim.native.options {
        if native.options.iter().all(|(known, _)| known != name) {
            native.options.push((name.clone(), raw.clone()));
        }
    }
}
