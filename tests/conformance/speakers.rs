//! The dialects of the table, one line each.

use crate::{json::Json, normal, steps};
use unigate::{
    dialect::{
        Dialect, Framing, Quirks, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI,
        responses::RESPONSES,
    },
    provider::Provider,
};

/// A dialect, and how it is read here.
#[derive(Debug)]
pub(crate) struct Speaker {
    /// Its name in the files.
    pub(crate) name: &'static str,
    /// Its name on the page.
    pub(crate) title: &'static str,
    pub(crate) dialect: &'static dyn Dialect,
    /// The provider whose upstream is asked; empty where only its own clients can be passed on to it.
    provider: &'static str,
    /// A stream, step by step.
    pub(crate) steps: fn(&str) -> Result<Json, String>,
    /// A whole answer without its id and its times.
    pub(crate) whole: fn(Json) -> Result<Json, String>,
    /// A request, with what may be said in two ways said in one.
    pub(crate) request: fn(Json) -> Json,
}

pub(crate) static SPEAKERS: &[Speaker] = &[
    Speaker {
        name: "openai",
        title: "OpenAI",
        dialect: &OPENAI,
        provider: "openai",
        steps: steps::openai,
        whole: normal::openai,
        request: std::convert::identity,
    },
    Speaker {
        name: "ollama",
        title: "Ollama",
        dialect: &OLLAMA,
        provider: "ollama",
        steps: steps::ollama,
        whole: normal::ollama,
        request: std::convert::identity,
    },
    Speaker {
        name: "anthropic",
        title: "Anthropic",
        dialect: &ANTHROPIC,
        provider: "anthropic",
        steps: steps::anthropic,
        whole: normal::anthropic,
        request: normal::anthropic_request,
    },
    Speaker {
        name: "responses",
        title: "Responses",
        dialect: &RESPONSES,
        provider: "",
        steps: steps::responses,
        whole: normal::responses,
        request: std::convert::identity,
    },
];

impl Speaker {
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.name == other.name
    }

    /// Whether clients of that dialect can be served by this one's upstreams.
    pub(crate) fn serves(&self, client: &Self) -> bool {
        !self.provider.is_empty() || self.is(client)
    }

    pub(crate) fn quirks(&self) -> Quirks {
        Provider::named(self.provider).map_or_else(Quirks::default, |provider| provider.quirks)
    }

    /// How its files of this kind end.
    pub(crate) fn ending(&self, kind: &str) -> &'static str {
        match (kind, self.dialect.framing()) {
            ("stream", Framing::Lines) => "ndjson",
            ("stream", Framing::Events) => "sse",
            _ => "json",
        }
    }

    /// A request of its clients, with the wish for a stream written into it, every other byte as it was.
    pub(crate) fn wish(&self, request: &[u8], streamed: bool) -> Vec<u8> {
        let request = request.trim_ascii_end();
        let mut body = request[..request.len() - 1].to_vec();
        // The SDKs' streams are compared with their usage, which OpenAI's clients have to ask for.
        let usage = match (self.name, streamed) {
            ("openai", true) => ",\"stream_options\":{\"include_usage\":true}",
            _ => "",
        };
        body.extend_from_slice(format!(",\"stream\":{streamed}{usage}}}").as_bytes());
        body
    }

    /// What its upstream is asked beside what the files say, by clients of another dialect.
    pub(crate) fn told(&self, client: &Self, request: &mut Json, streamed: bool) {
        request.put("stream", Json::Plain(streamed.to_string()));
        if self.name == "openai" && streamed {
            let usage = Json::object([("include_usage", Json::Plain("true".into()))]);
            request.put("stream_options", usage);
        }
        // OpenAI's defaults, said aloud because Ollama's are others.
        if self.name == "ollama" && matches!(client.name, "openai" | "responses") {
            let mut options = request.take("options").unwrap_or_else(|| Json::object([]));
            for name in ["temperature", "top_p"] {
                if !options.has(name) {
                    options.put(name, Json::Plain("1.0".into()));
                }
            }
            request.put("options", options);
        }
    }
}
