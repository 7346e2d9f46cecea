use super::*;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

async fn is_over(landing: &mut std::pin::Pin<&mut Landing<&str>>) -> bool {
    poll_fn(|cx| Poll::Ready(landing.as_mut().poll(cx).is_ready())).await
}

#[tokio::test]
async fn all_wait_for_one_piece_of_work() {
    let flights = Flights::default();
    let (first, pilot) = flights.join("a");
    let (second, none) = flights.join("a");
    let (mut first, mut second) = (pin!(first), pin!(second));
    assert!(none.is_none());
    assert!(!is_over(&mut first).await && !is_over(&mut second).await);
    drop(pilot);
    assert!(is_over(&mut first).await && is_over(&mut second).await);
}

#[tokio::test]
async fn other_keys_are_other_work() {
    let flights = Flights::default();
    let (_, a) = flights.join("a");
    let (landing, b) = flights.join("b");
    assert!(a.is_some() && b.is_some());
    drop(b);
    landing.await;
    assert!(flights.is_under_way(&"a"));
}

#[tokio::test]
async fn whoever_leaves_ends_nothing() {
    let flights = Flights::default();
    let (first, pilot) = flights.join("a");
    drop(first);
    assert!(flights.is_under_way(&"a"));
    drop(pilot);
    assert!(!flights.is_under_way(&"a"));
}

#[tokio::test]
async fn a_later_flight_is_not_waited_for() {
    let flights = Flights::default();
    let (late, pilot) = flights.join("a");
    drop(pilot);
    let (_next, pilot) = flights.join("a");
    assert!(pilot.is_some());
    late.await;
}
