//! Row U33: upstreams whose TLS cannot be trusted, or is none.

use crate::rig::{Chaosd, End, Row, Setup, chat};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// A certificate and its key.
type Made = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// The authority that the program trusts.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn sign(&self, name: &str, until: i32) -> Made {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let made = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (made.der().clone(), key)
    }
}

fn self_signed() -> Made {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    (made.cert.der().clone(), key)
}

/// What came on the wire, in the clear, before any TLS: the first bytes of each connection.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

async fn hear(stream: &TcpStream, heard: &Heard) {
    let mut first = [0; 64];
    let count = stream.peek(&mut first).await.unwrap_or(0);
    heard.lock().unwrap().push(first[..count].to_vec());
}

/// Before an upstream: TLS with this certificate, or, without one, words that are no TLS.
async fn before(chaosd: &Chaosd, made: Option<Made>, heard: &Heard) -> SocketAddr {
    let acceptor = made.map(|(certificate, key)| {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, to, heard) = (listener.local_addr().unwrap(), chaosd.addr, heard.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (acceptor, heard) = (acceptor.clone(), heard.clone());
            tokio::spawn(async move {
                hear(&stream, &heard).await;
                let Some(acceptor) = acceptor else {
                    // A server of another century, or another protocol on the port.
                    let _ = stream.write_all(b"\x80\x2e\x01\x00\x02 SSH-2.0-nobody\r\n").await;
                    let _ = stream.read(&mut [0; 1024]).await;
                    return;
                };
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                let Ok(mut far) = TcpStream::connect(to).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    addr
}

const KEY: &str = "canary-upstream-key-33";

#[tokio::test]
async fn u33_who_cannot_prove_who_they_are_are_told_nothing_and_left_alone() {
    let authority = Authority::new();
    let faults = [
        ("nobody", Some(self_signed())),
        ("expired", Some(authority.sign("localhost", 2021))),
        ("other", Some(authority.sign("other.example", 2099))),
        ("garbage", None),
    ];
    let (chaosd, heard) = (Chaosd::openai(&["g"]).await, Heard::default());
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &authority.1).unwrap();
    let mut setup = Setup::new().env("SSL_CERT_FILE", roots.to_str().unwrap());
    let good = before(&chaosd, Some(authority.sign("localhost", 2099)), &heard).await;
    let mut at = vec![("good", good)];
    for (name, made) in faults {
        at.push((name, before(&chaosd, made, &heard).await));
    }
    for (name, addr) in &at {
        let port = addr.port();
        setup = setup.upstream(name, "openai", &chaosd).credential(name, KEY).toml(&format!(
            "[upstream.{name}]\nurl = \"https://localhost:{port}/v1\"\nbreaker = \"cloud\"\n"
        ));
    }
    // One chaosd stands behind them all; the secret may come to it through the good one.
    setup.canaries.retain(|canary| canary.upstream.is_none());
    let mut row = Row::start("U33", setup).await.attempts(1);
    let answer = row.ask("/v1/chat/completions", &chat("good/g", 0, false)).await;
    assert_eq!(answer.end, End::Complete, "{}", answer.text());
    for (name, _) in &at[1..] {
        let mut left_alone = 0;
        for nth in 0..6 {
            let body = chat(&format!("{name}/g"), nth, false);
            let answer = row.ask("/v1/chat/completions", &body).await;
            assert_eq!((answer.status, answer.end), (503, End::Refused), "{name}");
            assert!(answer.took < Duration::from_secs(6), "{name}: {:?}", answer.took);
            left_alone += usize::from(answer.text().contains("keeps failing"));
        }
        assert!(left_alone >= 3, "{name} was asked again and again");
        row.figure(format!("{name}: 503, left alone"));
    }
    assert_eq!(chaosd.calls().len(), 1, "only the good one was asked anything");
    // A TLS record of a handshake, and never a word in the clear.
    for first in heard.lock().unwrap().iter().filter(|first| !first.is_empty()) {
        assert_eq!(first[0], 0x16, "{:?}", String::from_utf8_lossy(first));
    }
    row.check().await;
}
