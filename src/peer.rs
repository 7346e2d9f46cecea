//! Who is at the other end of a connection, pinned to each of its requests.

use http::Request;
use std::{
    net::IpAddr,
    task::{Context, Poll},
};
use tower_service::Service;

/// The address a request came from, as the connection says it. What headers say of it is nobody's word.
///
/// Absent where the listener pins none; then nobody is told apart by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Pins a [`Peer`] to each request of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Peered<S> {
    inner: S,
    peer: Peer,
}

// === impl Peered ===

impl<S> Peered<S> {
    /// The service for a connection from there.
    pub fn new(inner: S, from: IpAddr) -> Self {
        Self { inner, peer: Peer(from) }
    }
}

impl<S, B> Service<Request<B>> for Peered<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}
