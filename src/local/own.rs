//! The gateway's own paths: whether it lives, whether it is ready, what it counts.

use super::json_body;
use crate::{
    catalog::{Listing, Source, State},
    discovery::Discovery,
    error::Error,
    health::Health,
    metrics::{self, Metrics},
    readiness::Readiness,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

/// What these paths tell of.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    pub(super) metrics: Option<Metrics>,
    pub(super) readiness: Readiness,
    pub(super) health: Health,
}

impl Own {
    pub(super) fn answer(
        &self,
        discovery: &Discovery,
        method: &Method,
        path: &str,
    ) -> Result<Response<Bytes>, Error> {
        if method != Method::GET && method != Method::HEAD {
            return Err(Error::MethodNotAllowed(format!("{path} takes GET only")));
        }
        match (path, &self.metrics) {
            ("/health" | "/healthz" | "/livez", _) => Ok(json_body(r#"{"status":"ok"}"#)),
            ("/readyz", _) => Ok(self.ready(discovery)),
            ("/metrics", Some(metrics)) => Ok(counted(metrics)),
            _ => Err(Error::NotFound(format!(
                "nothing is at {path}; the gateway's own paths are /health, /livez, /readyz and /metrics"
            ))),
        }
    }

    /// Ready is who can answer something: one upstream is there, and nobody has said stop.
    fn ready(&self, discovery: &Discovery) -> Response<Bytes> {
        let catalog = discovery.catalog();
        let state = |listing: &Listing| match &listing.state {
            State::Unknown => json!({ "up": null, "why": "not asked so far" }),
            State::Up { version } => {
                json!({ "up": true, "version": version, "models": listing.models.len() })
            }
            State::Down(why) => json!({ "up": false, "why": why }),
        };
        let upstreams: Map<String, Value> = catalog
            .upstreams
            .iter()
            .map(|(name, listing)| {
                let mut state = state(listing);
                if let Some((word, why)) = self.health.failing(name) {
                    state["breaker"] = json!({ "state": word, "why": &*why });
                }
                (name.to_string(), state)
            })
            .collect();
        let up = catalog.upstreams.values().any(|l| matches!(l.state, State::Up { .. }));
        let word = match (self.readiness.is_stopping(), up) {
            (true, _) => "stopping",
            (false, true) => "ready",
            (false, false) => "no upstream answers",
        };
        let mut said = Map::from_iter([("status".to_owned(), word.into())]);
        said.insert("upstreams".to_owned(), upstreams.into());
        said.extend(self.readiness.parts());
        let mut response = json_body(Value::from(said).to_string());
        if word != "ready" {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

fn counted(metrics: &Metrics) -> Response<Bytes> {
    let mut response = Response::new(metrics.text().into());
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
