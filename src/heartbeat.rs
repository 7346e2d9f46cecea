//! Signs of life for clients that wait for a stream, in their own dialect: the judgement for
//! [`unigate_layers::heartbeat`].

use crate::{
    dialect::{Ask, Operation},
    error::Error,
    front::Front,
    record::{Record, now_ms},
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    response,
};
use std::{sync::Arc, time::Duration};
use unigate_layers::{
    body::Replay,
    heartbeat::{Policy, Pulse},
};

/// Who gets signs of life: whoever waits for the stream of a chat or a completion, and for no mere load.
#[derive(Clone, Copy, Debug)]
pub struct Beats {
    every: Option<Duration>,
}

/// The signs for one request.
#[derive(Clone, Debug)]
pub struct Beat {
    every: Duration,
    front: Front,
    operation: Operation,
    model: Arc<str>,
    record: Option<Record>,
}

impl Beats {
    /// A sign after this many seconds without a word, and each time again; 0, and what is no time: none.
    pub fn new(seconds: f64) -> Self {
        let every = Duration::try_from_secs_f64(seconds).ok();
        Self { every: every.filter(|every| !every.is_zero()) }
    }
}

impl<B: Replay> Policy<B> for Beats {
    type Pulse = Beat;

    fn pulse(&self, request: &Request<B>) -> Option<Beat> {
        let every = self.every?;
        let extensions = request.extensions();
        let (front, ask) = (Front::of(extensions), extensions.get::<Ask>()?);
        let operation = front.operation?;
        let streams = matches!(operation, Operation::Chat | Operation::Generate) && ask.stream;
        let is_load = || {
            let body = request.body().bytes();
            body.is_some_and(|body| front.dialect.is_load(operation, body))
        };
        if !streams || is_load() {
            return None;
        }
        let model = ask.model.clone().unwrap_or_default();
        Some(Beat { every, front, operation, model, record: extensions.get().cloned() })
    }
}

impl Pulse for Beat {
    fn every(&self) -> Duration {
        self.every
    }

    fn head(&self) -> Response<()> {
        let mut head = Response::new(());
        let kind = self.front.dialect.framing().content_type();
        for (name, value) in [
            (CONTENT_TYPE, kind),
            (CACHE_CONTROL, "no-cache"),
            (http::HeaderName::from_static("x-accel-buffering"), "no"),
        ] {
            head.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        head
    }

    fn beat(&mut self) -> Bytes {
        self.front.dialect.heartbeat(self.operation, &self.model, now_ms())
    }

    fn refused(&mut self, head: &response::Parts, body: Bytes) -> Bytes {
        let (message, _) = self.front.dialect.read_error(head.status, &body);
        if let Some(record) = &self.record {
            // Whoever knew more has said so already.
            let _ = record.fault.set(("upstream_error", message.clone()));
        }
        self.front.dialect.error_event(&Error::Reported { upstream: "".into(), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
    use serde_json::{Value, json};
    use unigate_layers::body::Buffered;

    type Body = Buffered<http_body_util::Full<Bytes>>;

    fn beat(path: &str, body: &Value, stream: bool) -> Option<Beat> {
        let mut request = Request::new(Body::whole(body.to_string().into()));
        let front = Front::name(&Method::POST, path, &HeaderMap::new());
        request.extensions_mut().insert(front);
        request.extensions_mut().insert(Ask { model: Some("m".into()), stream });
        Beats::new(5.0).pulse(&request)
    }

    fn text(path: &str) -> String {
        let messages = json!({ "messages": [{ "role": "user", "content": "x" }], "prompt": "x" });
        let sign = beat(path, &messages, true).unwrap().beat();
        String::from_utf8(sign.to_vec()).unwrap()
    }

    #[test]
    fn each_dialect_has_its_own_sign() {
        assert_eq!(text("/v1/chat/completions"), ": keep-alive\n\n");
        assert_eq!(text("/v1/responses"), ": keep-alive\n\n");
        assert_eq!(text("/v1/messages"), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
        let chat: Value = serde_json::from_str(&text("/api/chat")).unwrap();
        assert_eq!((&chat["message"]["content"], &chat["done"]), (&json!(""), &json!(false)));
        assert_eq!((&chat["message"]["role"], &chat["model"]), (&json!("assistant"), &json!("m")));
        assert!(text("/api/chat").ends_with('\n'));
        let generated: Value = serde_json::from_str(&text("/api/generate")).unwrap();
        assert_eq!((&generated["response"], &generated["done"]), (&json!(""), &json!(false)));
    }

    #[test]
    fn loads_embeddings_and_unstreamed_answers_get_none() {
        assert!(beat("/api/chat", &json!({ "messages": [] }), true).is_none());
        assert!(beat("/api/embed", &json!({ "input": "x" }), true).is_none());
        assert!(beat("/v1/chat/completions", &json!({ "messages": [1] }), false).is_none());
        assert!(Beats::new(0.0).every.is_none());
    }
}
