//! Small questions to upstreams beside the traffic: what they have, whether they are there.

use super::{
    Address,
    body::reason,
    connect::{self, Http},
};
use crate::{config, provider::Provider};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header::VIA};
use http_body_util::{BodyExt, Full, Limited};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// Asks upstreams; each question has a short deadline and a bounded answer. Cheap to clone.
#[derive(Clone)]
pub struct Probe {
    known: Arc<BTreeMap<Arc<str>, Asked>>,
    via: HeaderValue,
}

struct Asked {
    address: Address,
    key: Option<(HeaderName, HeaderValue)>,
    provider: &'static Provider,
    http: Http<Full<Bytes>>,
}

/// Why a question has no answer.
#[derive(Clone, Debug)]
pub struct Silence {
    /// The address and the reason, in a form that can follow the upstream's name.
    pub why: String,
    /// The status, if there was one.
    pub status: Option<StatusCode>,
}

/// How long an upstream may take to answer a small question.
const DEADLINE: Duration = Duration::from_secs(2);

/// The largest answer: a list of tens of thousands of models.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

impl Probe {
    /// A probe for every upstream of a valid configuration; one that is not valid is left out.
    ///
    /// `instance` names this process, so that a question that comes back to it is noticed.
    pub fn new(config: &config::Config, instance: &str) -> Self {
        let asked = |name: &str, upstream: &config::Upstream| {
            let address = Address::of(name, upstream).ok()?;
            let key = upstream.key.as_ref().and_then(|key| key.read().ok());
            let secure = address.scheme == http::uri::Scheme::HTTPS;
            let http = connect::client(DEADLINE, secure);
            let provider = Provider::of(name, upstream).ok()?;
            let key = key.and_then(|key| provider.credential.header(key.expose()).ok());
            Some(Asked { address, key, provider, http })
        };
        let known = config.upstream.iter();
        let known = known
            .filter_map(|(name, upstream)| Some((name.as_str().into(), asked(name, upstream)?)));
        let via = HeaderValue::try_from(format!("1.1 {instance}"));
        let via = via.unwrap_or_else(|_| HeaderValue::from_static("1.1 unigate"));
        Self { known: Arc::new(known.collect()), via }
    }

    /// Whether these are the headers of a question of this process's own.
    pub fn came_back(&self, headers: &HeaderMap) -> bool {
        super::came_back(headers, &self.via)
    }

    /// The body of a successful answer to `GET path`.
    ///
    /// # Errors
    /// [`Silence`], for everything else than a success.
    pub async fn get(&self, upstream: &str, path: &str) -> Result<Bytes, Silence> {
        let unknown = || Silence { why: "which is not configured".into(), status: None };
        let asked = self.known.get(upstream).ok_or_else(unknown)?;
        let at = &asked.address;
        let mut request = Request::get(at.url(path)).header(VIA, &self.via);
        if let Some((name, key)) = &asked.key {
            request = request.header(name, key.clone());
        }
        for (name, value) in asked.provider.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default());
        let request = request.map_err(|error| Silence { why: error.to_string(), status: None })?;
        let silence = |why: String, status| Silence { why: format!("at {at} ({why})"), status };
        let answer = async {
            let response = asked.http.request(request).await;
            let response = response.map_err(|error| silence(reason(&error), None))?;
            let status = response.status();
            if status == StatusCode::LOOP_DETECTED {
                return Err(silence("which is this gateway itself".into(), Some(status)));
            }
            if !status.is_success() {
                return Err(silence(format!("status {}", status.as_u16()), Some(status)));
            }
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            body.map(|body| body.to_bytes()).map_err(|error| silence(reason(&*error), None))
        };
        let late = || silence(format!("no answer within {} s", DEADLINE.as_secs()), None);
        tokio::time::timeout(DEADLINE, answer).await.unwrap_or_else(|_| Err(late()))
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}
