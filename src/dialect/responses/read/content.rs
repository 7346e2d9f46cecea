//! Reads what an item says and shows.

use crate::{
    chat::{Media, Part},
    dialect::{
        alike::untranslatable,
        json::{self, Fields},
        media,
    },
    error::Error,
};

/// A text, or a list of parts; nothing where the field is not there.
pub(super) fn read(item: &Fields<'_>, name: &str) -> Result<Vec<Part>, Error> {
    match item.raw(name) {
        None => Ok(Vec::new()),
        Some(raw) if json::is_list(raw) => item.objects(name)?.iter().map(part).collect(),
        Some(raw) => {
            let text = json::text(raw);
            let text = text.ok_or_else(|| item.wrong(name, "a string or a list of parts"))?;
            Ok(vec![Part::Text(text)])
        }
    }
}

fn part(part: &Fields<'_>) -> Result<Part, Error> {
    match part.string("type")?.as_deref() {
        Some("input_text" | "output_text" | "text") => {
            Ok(Part::Text(part.string("text")?.unwrap_or_default()))
        }
        Some("refusal") => Ok(Part::Text(part.string("refusal")?.unwrap_or_default())),
        Some("input_image") => shown(part, image(part)?),
        Some("input_file") => shown(part, file(part)?),
        Some("input_audio") => shown(part, media::audio(part)?),
        Some(kind) => {
            let why = format!(
                "parts of the type {kind:?} have no translation; text, input_image, input_file and input_audio have"
            );
            Err(untranslatable(&part.path("type"), &why))
        }
        None => Err(part.wrong("type", "input_text, output_text, input_image or input_file")),
    }
}

fn shown(part: &Fields<'_>, media: Media) -> Result<Part, Error> {
    Ok(Part::Media(media.at(part.place())))
}

/// Where files are, when they are not here.
const ELSEWHERE: &str = "files live at the upstream that they were sent to; send the bytes";

fn image(part: &Fields<'_>) -> Result<Media, Error> {
    if part.has("file_id") {
        return Err(untranslatable(&part.path("file_id"), ELSEWHERE));
    }
    let wrong = || part.wrong("image_url", "a URL of a picture, or a data: URL with one in base64");
    media::image(part.string("image_url")?.ok_or_else(wrong)?).ok_or_else(wrong)
}

/// A document in the request itself.
fn file(part: &Fields<'_>) -> Result<Media, Error> {
    if part.has("file_id") {
        return Err(untranslatable(&part.path("file_id"), ELSEWHERE));
    }
    if part.has("file_url") {
        let why = "documents are not fetched; send the bytes as file_data";
        return Err(untranslatable(&part.path("file_url"), why));
    }
    let wrong = || part.wrong("file_data", "a data: URL of a PDF or text, in base64");
    let data = part.string("file_data")?.ok_or_else(wrong)?;
    media::document(&data, part.string("filename")?).ok_or_else(wrong)
}
