//! What a client is told whose request cannot go on: because of a defect of ours, or because the gateway stops.

use super::{Front, render};
use crate::{error::Error, record::Record};
use bytes::Bytes;
use http::{
    Request, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    response,
};
use unigate_layers::catch::{self, Why};

/// One client's dialect, and how its answer is written; for [`unigate_layers::catch::CatchLayer`].
#[derive(Debug)]
pub struct Farewell {
    front: Front,
    record: Option<Record>,
    /// Whether the body is a stream of the dialect's events, so that one more can be added.
    events: bool,
}

/// Looks at a request that [`NameLayer`](super::NameLayer) has named.
pub fn farewell<B>(request: &Request<B>) -> Farewell {
    let extensions = request.extensions();
    Farewell { front: Front::of(extensions), record: extensions.get().cloned(), events: false }
}

impl catch::Farewell for Farewell {
    fn begun(&mut self, head: &response::Parts) {
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let kind = self.front.dialect.framing().content_type();
        self.events = text(CONTENT_TYPE).is_some_and(|found| found.starts_with(kind))
            // What has a length or is compressed takes no more words.
            && !head.headers.contains_key(CONTENT_LENGTH)
            && !head.headers.contains_key(CONTENT_ENCODING);
    }

    fn respond(self, why: Why) -> Response<Bytes> {
        render(self.front, self.record.as_ref(), &error(why))
    }

    fn end(self, why: Why, tail: &[u8]) -> Option<Bytes> {
        let error = error(why);
        if let Some(record) = &self.record {
            let _ = record.fault.set((error.code(), error.to_string()));
        }
        if !self.events {
            return None;
        }
        let separator = self.front.dialect.framing().separator();
        let event = self.front.dialect.error_event(&error);
        // Half an event has gone out already, and cannot be taken back: the next one must stand alone.
        if tail.is_empty() || tail.ends_with(separator) {
            return Some(event);
        }
        Some([separator, &event].concat().into())
    }
}

fn error(why: Why) -> Error {
    match why {
        Why::Stopped => Error::Stopped,
        // What it said may quote the request; the program's own messages say where it was.
        Why::Panicked => Error::Internal("the request could not be finished".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
    use unigate_layers::catch::Farewell as _;

    fn ended(path: &str, kind: &str, tail: &str) -> Option<String> {
        let mut request = Request::post(path).body(()).unwrap();
        let front = Front::name(&Method::POST, path, &HeaderMap::new());
        request.extensions_mut().insert(front);
        let record = Record::of(request.extensions_mut());
        let mut last = farewell(&request);
        let head = Response::builder().header(CONTENT_TYPE, kind).body(()).unwrap().into_parts().0;
        last.begun(&head);
        let said = last.end(Why::Stopped, tail.as_bytes());
        assert_eq!(record.fault.get().unwrap().0, "gateway_stopped");
        said.map(|said| String::from_utf8(said.to_vec()).unwrap())
    }

    #[test]
    fn each_dialect_ends_a_stream_in_its_own_words() {
        const SSE: &str = "text/event-stream; charset=utf-8";
        let lines = "application/x-ndjson";
        for (path, kind, tail, begins, holds) in [
            ("/api/chat", lines, "}\n", "{\"error\":\"", "stopped"),
            ("/api/chat", lines, "}", "\n{\"error\":\"", "stopped"),
            ("/api/chat", lines, "", "{\"error\":\"", "stopped"),
            ("/v1/chat/completions", SSE, "\n\n", "data: {\"error\":", "gateway_stopped"),
            ("/v1/chat/completions", SSE, "}\n", "\n\ndata: {\"error\":", "gateway_stopped"),
            ("/v1/messages", SSE, "\n\n", "event: error\ndata: ", "stopped"),
            ("/v1/responses", SSE, "\n\n", "event: error\n", "gateway_stopped"),
        ] {
            let said = ended(path, kind, tail).unwrap();
            assert!(said.starts_with(begins) && said.contains(holds), "{path}: {said}");
            assert!(said.ends_with('\n'), "{path}: {said}");
        }
    }

    #[test]
    fn what_is_no_stream_of_events_has_no_last_word() {
        assert_eq!(ended("/v1/chat/completions", "application/json", "{"), None);
        assert_eq!(ended("/api/chat", "text/event-stream", ""), None, "not its framing");
        assert_eq!(ended("/v1/audio/speech", "audio/mpeg", "x"), None);
    }
}
