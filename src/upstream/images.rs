//! Fetches images for an upstream that takes none by their addresses; from hosts that the configuration names, and
//! from public addresses only.
//!
//! An address in a request is a way into the network that the gateway stands in. So the name must be listed, and every
//! address behind it must be public: what is checked is what is connected to, whatever the name means a moment later.
//! No redirect is followed, no credential sent, and size and time are bounded.

use super::{body::reason, connect::tls};
use crate::{
    chat::{self, Media, Part, Source},
    config,
    dialect::shown,
    error::Error,
};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};
use tower_service::Service;

/// Who may fetch what. Cheap to clone.
#[derive(Clone)]
pub(super) struct Images {
    hosts: Arc<[Host]>,
    most: usize,
    public: fn(IpAddr) -> bool,
    http: Client<HttpsConnector<HttpConnector<Checked>>, Empty<Bytes>>,
}

/// A host that is listed.
#[derive(Clone, Debug)]
struct Host {
    name: String,
    below: bool,
    plain: bool,
}

/// Looks names up, and gives no address that is not public.
#[derive(Clone)]
struct Checked {
    lookup: Lookup,
    public: fn(IpAddr) -> bool,
}

type Lookup = Arc<dyn Fn(String) -> Looked + Send + Sync>;
type Looked = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// For all images of a request.
const DEADLINE: Duration = Duration::from_secs(10);

impl Images {
    /// `None` where no host is listed.
    pub(super) fn new(config: &config::Translate) -> Option<Self> {
        let lookup: Lookup = Arc::new(|name| {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        });
        (!config.image_hosts.is_empty()).then(|| Self::with(config, lookup, is_public))
    }

    fn with(config: &config::Translate, lookup: Lookup, public: fn(IpAddr) -> bool) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Checked { lookup, public });
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(true))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let hosts = config.image_hosts.iter().map(|host| Host::new(host)).collect();
        // A connection is for one request: the next may not lead to the same place.
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https);
        Self { hosts, most: config.max_image_bytes, public, http }
    }

    /// Puts the bytes in the place of every address that is listed; the others stay, for the dialect to refuse.
    ///
    /// # Errors
    /// [`Error::BadRequest`] naming the host and the reason. `budget` is the most bytes for all of them.
    pub(super) async fn fill(
        &self,
        request: &mut chat::Request,
        budget: usize,
    ) -> Result<(), Error> {
        let chat::Task::Chat(conversation) = &mut request.task else { return Ok(()) };
        let late = tokio::time::Instant::now() + DEADLINE;
        // A conversation shows the same picture with every turn.
        let mut fetched: Vec<(String, Media)> = Vec::new();
        let mut room = budget;
        for message in &mut conversation.messages {
            for part in &mut message.content {
                let Part::Media(media) = part else { continue };
                let Source::Url(url) = &media.source else { continue };
                let Some(at) = self.listed(url).filter(|_| media.mime.starts_with("image/")) else {
                    continue;
                };
                if let Some((_, known)) = fetched.iter().find(|(known, _)| known == url) {
                    *media = known.clone().at(&media.place);
                    continue;
                }
                let host = at.host().unwrap_or_default().to_owned();
                let wrong = |why: String| Error::BadRequest(format!("the image at {host} {why}"));
                let most = self.most.min(room);
                let bytes = match tokio::time::timeout_at(late, self.fetch(at, most)).await {
                    Ok(bytes) => bytes.map_err(wrong)?,
                    Err(_) => {
                        let seconds = DEADLINE.as_secs();
                        return Err(wrong(format!("did not come within {seconds} s")));
                    }
                };
                room -= bytes.len();
                let shown = shown(&bytes).ok_or_else(|| {
                    wrong("is none: it must be a PNG, JPEG, GIF, WebP or BMP".to_owned())
                })?;
                fetched.push((url.clone(), shown.clone()));
                *media = shown.at(&media.place);
            }
        }
        Ok(())
    }

    /// The address, where its host is listed.
    fn listed(&self, url: &str) -> Option<Uri> {
        let at: Uri = url.split('#').next()?.parse().ok()?;
        let host = at.host()?.trim_end_matches('.');
        let plain = at.scheme_str()? == "http";
        let listed = |known: &Host| (known.plain || !plain) && known.is(host);
        self.hosts.iter().any(listed).then_some(at)
    }

    async fn fetch(&self, at: Uri, most: usize) -> Result<Bytes, String> {
        if at.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("has a credential in its address".into());
        }
        if !matches!(at.port_u16(), None | Some(80 | 443)) {
            return Err("is at a port that is neither 443 nor 80".into());
        }
        // An address that is no name is not looked up, and so not checked there.
        let literal = at.host().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        if literal.is_some_and(|address| !(self.public)(address)) {
            return Err(PRIVATE.into());
        }
        let request = Request::get(at)
            .header(header::ACCEPT, "image/*")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::USER_AGENT, "unigate")
            .body(Empty::new())
            .map_err(|error| format!("cannot be fetched: {error}"))?;
        let response = self.http.request(request).await;
        let response = response.map_err(|error| match reason(&error) {
            why if why == PRIVATE => why,
            why => format!("cannot be fetched: {why}"),
        })?;
        let status = response.status();
        if status.is_redirection() {
            return Err("is elsewhere, and redirects are not followed".into());
        }
        if !status.is_success() {
            return Err(format!("cannot be fetched: status {}", status.as_u16()));
        }
        let too_large = || format!("is larger than {most} bytes");
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        match Limited::new(response.into_body(), most).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Err(error) => Err(format!("cannot be fetched: {}", reason(&*error))),
        }
    }
}

/// The end of a sentence that begins with the image.
const PRIVATE: &str = "is at an address that is not public";

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hosts.iter()).finish()
    }
}

// === impl Host ===

impl Host {
    fn new(text: &str) -> Self {
        let (text, plain) = text.strip_prefix("http://").map_or((text, false), |rest| (rest, true));
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |rest| (rest, true));
        Self { name: name.trim_end_matches('.').to_ascii_lowercase(), below, plain }
    }

    fn is(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match host.strip_suffix(&self.name) {
            Some(before) if self.below => before.len() > 1 && before.ends_with('.'),
            Some(before) => before.is_empty(),
            None => false,
        }
    }
}

// === impl Checked ===

impl Service<Name> for Checked {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (looked, public) = ((self.lookup)(name.as_str().to_owned()), self.public);
        Box::pin(async move {
            let addresses = looked.await?;
            // One that is not public makes the others suspect.
            if addresses.iter().any(|address| !public(address.ip())) {
                return Err(io::Error::other(PRIVATE));
            }
            Ok(addresses.into_iter())
        })
    }
}

/// Whether an address belongs to somebody on the public internet.
// Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, as of 2026-11.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!(
            octets,
            [0, ..]
                | [100, 64..=127, ..] // carriers' own
                | [192, 0, 0, _]
                | [192, 88, 99, _] // 6to4 relays
                | [198, 18 | 19, ..] // benchmarks
                | [224..=255, ..] // multicast, reserved, broadcast
        );
    !special
}

/// Only what is given out as global unicast, without the parts of it that lead into IPv4.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let special = matches!(
        segments,
        [0x2001, 0..=0x01ff, ..] // protocols, Teredo among them
            | [0x2001, 0x0db8, ..] // documentation
            | [0x2002, ..] // 6to4
            | [0x3fff, 0..=0x0fff, ..] // documentation
    );
    (0x2000..=0x3fff).contains(&segments[0]) && !special
}

#[cfg(test)]
mod tests;
