//! Small questions to upstreams beside the traffic: what they have, whether they are there.

use super::{
    Address,
    body::reason,
    connect::{self, Http},
};
use crate::config;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{AUTHORIZATION, VIA},
};
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
    key: Option<HeaderValue>,
    http: Http<Full<Bytes>>,
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
            let key = key.and_then(|key| super::bearer(key.expose()).ok());
            Some(Asked { address, key, http })
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
    /// The address and the reason, in a form that can follow the upstream's name.
    pub async fn get(&self, upstream: &str, path: &str) -> Result<Bytes, String> {
        let asked = self.known.get(upstream).ok_or("no such upstream")?;
        let Address { scheme, authority, prefix } = &asked.address;
        let at = format!("{scheme}://{authority}");
        let path =
            if prefix.contains("/v1") { path.strip_prefix("/v1").unwrap_or(path) } else { path };
        let mut request = Request::get(format!("{at}{prefix}{path}")).header(VIA, &self.via);
        if let Some(key) = &asked.key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        let request = request.body(Full::default()).map_err(|error| error.to_string())?;
        let answer = async {
            let response = asked.http.request(request).await.map_err(|error| reason(&error))?;
            let status = response.status();
            if status == StatusCode::LOOP_DETECTED {
                return Err("which is this gateway itself".to_owned());
            }
            if !status.is_success() {
                return Err(format!("status {}", status.as_u16()));
            }
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            body.map(|body| body.to_bytes()).map_err(|error| reason(&*error))
        };
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(result) => result.map_err(|why| format!("at {at} ({why})")),
            Err(_) => Err(format!("at {at} (no answer within {} s)", DEADLINE.as_secs())),
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}
