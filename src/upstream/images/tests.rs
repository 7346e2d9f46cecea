use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand more";

/// A server that answers everything with these bytes; where it is, and how often it was asked.
async fn server(answer: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    (at, asked)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Every name leads to `at`.
fn images(hosts: &[&str], at: SocketAddr, public: fn(IpAddr) -> bool) -> Images {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    let config =
        config::Translate { image_hosts: hosts, max_image_bytes: 64, ..Default::default() };
    let lookup: Lookup = Arc::new(move |_| Box::pin(async move { Ok(vec![at]) }));
    Images::with(&config, lookup, public)
}

fn anywhere(_: IpAddr) -> bool {
    true
}

fn request(urls: &[&str]) -> chat::Request {
    let media = |url: &&str| {
        Part::Media(Media::there("image/*", (*url).to_owned()).at("messages[0].content[0]"))
    };
    let content = urls.iter().map(media).collect();
    let message = chat::Message { role: "user".into(), content, ..Default::default() };
    chat::Request {
        model: "m".into(),
        stream: false,
        task: chat::Task::Chat(chat::Conversation {
            messages: vec![message],
            ..Default::default()
        }),
        sampling: chat::Sampling::default(),
        native: chat::Native::default(),
        choices: 1,
        user: None,
        dropped: Vec::new(),
    }
}

async fn filled(images: &Images, urls: &[&str]) -> Result<Vec<Media>, String> {
    let mut request = request(urls);
    images.fill(&mut request, 100).await.map_err(|error| error.to_string())?;
    let chat::Task::Chat(conversation) = request.task else { unreachable!() };
    Ok(conversation.messages[0].media().cloned().collect())
}

#[tokio::test]
async fn a_listed_host_is_fetched_from_once_and_the_bytes_say_what_it_is() {
    let (at, asked) = server(ok(PNG)).await;
    let images = images(&["http://img.test"], at, anywhere);
    let urls = ["http://img.test/a.jpg?x=1#y", "http://img.test/a.jpg?x=1#y"];
    let found = filled(&images, &urls).await.unwrap();
    assert_eq!((found[0].mime, &found[0].source), ("image/png", &found[1].source));
    assert!(matches!(found[0].source, Source::Base64(_)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_not_listed_stays_an_address() {
    let (at, asked) = server(ok(PNG)).await;
    let images = images(&["img.test", "*.below.test"], at, anywhere);
    for url in [
        "http://img.test/a",
        "https://other.test/",
        "https://img.test.evil.test/",
        "https://evilimg.test/",
        "https://below.test/",
        "https://xbelow.test/",
        "https://img.test@evil.test/",
    ] {
        let found = filled(&images, &[url]).await.unwrap();
        assert_eq!(found[0].source, Source::Url(url.to_owned()));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert!(images.listed("https://IMG.test./a").is_some());
    assert!(images.listed("https://a.b.below.test/").is_some());
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
    let (at, asked) = server(ok(PNG)).await;
    let images = images(&["http://img.test", "http://127.0.0.1"], at, is_public);
    for url in ["http://img.test/secret?q=1", "http://127.0.0.1/"] {
        let error = filled(&images, &[url]).await.unwrap_err();
        assert!(error.contains(PRIVATE) && !error.contains("q=1"), "{error}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn credentials_odd_ports_redirects_and_refusals_are_no_images() {
    let redirect =
        b"HTTP/1.1 302 Found\r\nlocation: http://img.test/b\r\ncontent-length: 0\r\n\r\n";
    let (at, asked) = server(redirect.to_vec()).await;
    let images = images(&["http://img.test"], at, anywhere);
    for (url, why) in [
        ("http://me:secret@img.test/", "credential"),
        ("http://img.test:22/", "port"),
        ("http://img.test/", "redirects"),
    ] {
        let error = filled(&images, &[url]).await.unwrap_err();
        assert!(error.contains("img.test") && error.contains(why), "{error}");
        assert!(!error.contains("secret"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "only the last one was asked, and once");
    let (at, _) = server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let missing = self::images(&["http://img.test"], at, anywhere);
    let error = filled(&missing, &["http://img.test/"]).await.unwrap_err();
    assert!(error.contains("404"), "{error}");
}

#[tokio::test]
async fn size_is_bounded_for_each_and_for_all() {
    let endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    for answer in [ok(&[b'x'; 65]), [endless, vec![b'x'; 4000]].concat()] {
        let (at, _) = server(answer).await;
        let error =
            filled(&images(&["http://img.test"], at, anywhere), &["http://img.test/"]).await;
        assert!(error.unwrap_err().contains("larger than 64 bytes"));
    }
    let (at, _) = server(ok(&[PNG, &[0; 40]].concat())).await;
    let images = images(&["http://img.test"], at, anywhere);
    let error = filled(&images, &["http://img.test/1", "http://img.test/2"]).await.unwrap_err();
    assert!(error.contains("larger than 44 bytes"), "{error}");
}

#[tokio::test]
async fn what_is_no_image_is_refused() {
    let (at, _) = server(ok(b"<html>")).await;
    let error = filled(&images(&["http://img.test"], at, anywhere), &["http://img.test/"]).await;
    assert!(error.unwrap_err().contains("PNG, JPEG"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let images = images(&["http://img.test"], listener.local_addr().unwrap(), anywhere);
    let error = filled(&images, &["http://img.test/"]).await.unwrap_err();
    assert!(error.contains("within 10 s"), "{error}");
}

#[test]
fn only_public_addresses_are_public() {
    for address in ["1.1.1.1", "93.184.215.14", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:1.1.1.1",
        "::ffff:127.0.0.1",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
}
