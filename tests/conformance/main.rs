//! Any client before any upstream, feature by feature: the table that is published, and what holds beyond it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod cell;
mod feature;
mod golden;
mod json;
mod normal;
mod page;
mod round_trips;
mod speakers;
mod steps;

use speakers::SPEAKERS;

#[test]
fn every_cell_is_green_or_explained_and_published() {
    let features = feature::all();
    let mut failed = Vec::new();
    let check = |feature: &_, client: usize, upstream: usize, streamed| {
        cell::check(feature, &SPEAKERS[client], &SPEAKERS[upstream], streamed)
    };
    let page = page::write(&features, check, &mut failed);
    assert!(failed.is_empty(), "{} cells:\n\n{}", failed.len(), failed.join("\n\n"));
    page::compare(&page).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn every_file_is_one_that_clients_of_its_dialect_could_read() {
    type Steps = fn(&str) -> Result<json::Json, String>;
    type Whole = fn(json::Json) -> Result<json::Json, String>;
    let readers: [(&str, &str, Steps, Whole); 4] = [
        ("openai", "sse", steps::openai, normal::openai),
        ("ollama", "ndjson", steps::ollama, normal::ollama),
        ("anthropic", "sse", steps::anthropic, normal::anthropic),
        ("responses", "sse", steps::responses, normal::responses),
    ];
    let mut read = 0;
    for feature in feature::all() {
        for (name, ending, steps, whole) in readers {
            let wrong = |what: &str| panic!("{}, {name}: {what}", feature.name);
            if let Some(stream) = feature.file(&format!("stream.{name}.{ending}")) {
                steps(&String::from_utf8(stream).unwrap()).unwrap_or_else(|what| wrong(&what));
                read += 1;
            }
            if let Some(answer) = feature.file(&format!("answer.{name}.json")) {
                let answer = json::Json::read(&answer).unwrap_or_else(|what| wrong(&what));
                whole(answer).unwrap_or_else(|what| wrong(&what));
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read} files");
}
