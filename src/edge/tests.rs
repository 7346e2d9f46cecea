use super::*;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::convert::Infallible;
use tokio::{sync::mpsc, time::Instant};
use tower::{ServiceExt, service_fn};

type Upload = mpsc::Sender<&'static str>;

/// A body that comes as somebody sends it.
fn upload() -> (Upload, impl Body<Data = Bytes, Error = Infallible> + Unpin) {
    let (send, mut receive) = mpsc::channel::<&'static str>(8);
    let frames = futures(move |cx| {
        receive.poll_recv(cx).map(|data| data.map(|data| Ok(Frame::data(Bytes::from(data)))))
    });
    (send, StreamBody::new(frames))
}

fn futures<T>(
    poll: impl FnMut(&mut Context<'_>) -> Poll<Option<T>> + Unpin,
) -> impl futures_core::Stream<Item = T> + Unpin {
    struct Polled<P>(P);
    impl<T, P: FnMut(&mut Context<'_>) -> Poll<Option<T>> + Unpin> futures_core::Stream for Polled<P> {
        type Item = T;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
            (self.0)(cx)
        }
    }
    Polled(poll)
}

/// Sends it through a layer with room for 10 bytes, to a service that reads the body and says it.
async fn send<B>(memory: &Memory, whole: bool, request: Request<B>) -> Response<Bytes>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let inner = service_fn(|request: Request<Arriving<B>>| async move {
        let body = request.into_body().collect().await;
        let body = body.map_or_else(|error| error.to_string().into(), |body| body.to_bytes());
        Ok::<_, Infallible>(Response::new(Full::new(body)))
    });
    let layer = EdgeLayer::new(memory.clone(), Patience::default(), 100, move |_: &_| whole);
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn post<B>(body: B) -> Request<B> {
    Request::post("/api/chat").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_given_up_after_the_idle_time() {
    for whole in [true, false] {
        let (upload, body) = upload();
        upload.send("half").await.unwrap();
        let began = Instant::now();
        let response = send(&Memory::new(Some(10)), whole, post(body)).await;
        assert_eq!(response.status(), 408, "whole: {whole}");
        assert_eq!(response.headers()["connection"], "close");
        assert_eq!(began.elapsed().as_secs(), 10);
        let said: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert!(said["error"].as_str().unwrap().contains("10 s"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_dribbles_is_given_up_when_it_is_read_whole_and_goes_on_when_it_is_not() {
    for (whole, status, seconds) in [(true, 408, 60), (false, 200, 90)] {
        let (upload, body) = upload();
        tokio::spawn(async move {
            for _ in 0..10 {
                let _ = upload.send("").await;
                tokio::time::sleep(Duration::from_secs(9)).await;
            }
        });
        let began = Instant::now();
        let response = send(&Memory::new(Some(10)), whole, post(body)).await;
        assert_eq!((response.status().as_u16(), began.elapsed().as_secs()), (status, seconds));
    }
}

#[tokio::test]
async fn a_body_that_finds_no_room_is_refused_and_what_it_took_is_given_back() {
    let memory = Memory::new(Some(10));
    let (one, body) = upload();
    for part in ["12345", "67890", "1"] {
        one.send(part).await.unwrap();
    }
    drop(one);
    let response = send(&memory, true, post(body)).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    assert_eq!(memory.taken(), 0);

    // By its length it is refused before it is read, and one that is not read whole is not counted.
    for (whole, length, status) in
        [(true, 11, 503), (true, 10, 200), (true, 101, 200), (false, 11, 200)]
    {
        let (one, body) = upload();
        drop(one);
        let mut request = post(body);
        request.headers_mut().insert("content-length", length.into());
        let response = send(&memory, whole, request).await;
        assert_eq!(response.status(), status, "{whole} {length}");
        assert_eq!(memory.taken(), 0);
    }
}

#[tokio::test]
async fn what_is_in_time_and_has_room_passes_as_it_came() {
    let (one, body) = upload();
    one.send("12345").await.unwrap();
    drop(one);
    let response = send(&Memory::new(Some(10)), true, post(body)).await;
    assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, &b"12345"[..]));
    let response = send(&Memory::new(Some(0)), true, post(Full::<Bytes>::default())).await;
    assert_eq!(response.status(), 200, "nothing needs no room");
}
