//! Row O8: a defect of ours.

use crate::rig::{End, Ledger, chat, note, until};
use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::{ServiceBuilder, service_fn};
use unigate::{
    front::{NameLayer, farewell},
    listen::{self, Limits},
    log::{LogRow, Rows, Sink},
};
use unigate_layers::{
    catch::{CatchLayer, Stop},
    log::LogLayer,
};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<LogRow>>>);

impl Sink for Kept {
    fn push(&self, row: LogRow) {
        self.0.lock().unwrap().push(row);
    }
}

/// A word, and then a panic, if there is to be one; holds a permit.
struct Answer {
    polls: usize,
    panics: bool,
    _permit: OwnedSemaphorePermit,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polls += 1;
        match (self.polls, self.panics) {
            (1, _) => {
                let line = b"{\"message\":{\"content\":\"one\"},\"done\":false}\n";
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(line)))))
            }
            (2, false) => {
                let line = b"{\"message\":{\"content\":\"two\"},\"done\":true}\n";
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(line)))))
            }
            (_, false) => Poll::Ready(None),
            (_, true) => panic!("a defect in a body"),
        }
    }
}

#[tokio::test]
async fn o8_a_panic_ends_one_request_in_words_and_no_other() {
    note("O8", false, "did not get to its end");
    let (kept, places) = (Kept::default(), Arc::new(Semaphore::new(3)));
    let enter = places.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let permit = enter.clone().try_acquire_owned().expect("a permit that was given back");
        async move {
            let query = request.uri().query();
            assert_ne!(query, Some("head"), "a defect before the head");
            let body = Answer { polls: 0, panics: query == Some("body"), _permit: permit };
            let mut response = Response::new(body);
            let kind = http::HeaderValue::from_static("application/x-ndjson");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok::<_, Infallible>(response)
        }
    });
    let stack = ServiceBuilder::new()
        .layer(LogLayer::new(Rows::new(kept.clone())))
        .layer(NameLayer)
        .layer(CatchLayer::new(farewell, Stop::new()))
        .service(service);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (pending, ledger) = (std::future::pending, Ledger::default());
    let served =
        tokio::spawn(listen::serve(listener, stack, Limits::default(), pending(), pending()));
    for nth in 0..20 {
        let body = chat("m", nth, true);
        let fine = ledger.ask(addr, "/api/chat", &[], &body);
        let head = ledger.ask(addr, "/api/chat?head", &[], &body);
        let middle = ledger.ask(addr, "/api/chat?body", &[], &body);
        // At the same time: none may take another with it.
        let (fine, head, middle) = tokio::join!(fine, head, middle);
        assert_eq!((fine.end, fine.said().as_str()), (End::Complete, "onetwo"));
        assert_eq!((head.end, head.status), (End::Refused, 500), "{}", head.text());
        assert!(head.text().contains("internal error"), "{}", head.text());
        assert_eq!((middle.end, middle.status), (End::ErrorEvent, 200), "{}", middle.text());
        for answer in [&head, &middle] {
            assert!(!answer.text().contains("defect"), "not what the panic said");
        }
    }
    until("60 rows", || kept.0.lock().unwrap().len() == 60).await;
    assert_eq!(places.available_permits(), 3);
    for row in kept.0.lock().unwrap().iter() {
        let expected = match row.ending {
            "complete" => (Some(200), None),
            _ => (row.status_code, Some("internal_error")),
        };
        assert_eq!((row.status_code, row.error_code), expected, "{row:?}");
    }
    let failed = kept.0.lock().unwrap().iter().filter(|row| row.ending == "failed").count();
    assert_eq!(failed, 40);
    served.abort();
    note("O8", true, "40 panics beside 20 answers: 20 complete, 40 told, 3 of 3 permits back");
}
