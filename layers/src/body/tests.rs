use super::*;
use crate::testing::Step::{Data, Error, Pending, Trailers};
use crate::testing::{Script, Seen, frame, play};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

fn tee(script: Script) -> (Tee<Script, Seen>, Seen) {
    let seen = Seen::default();
    (Tee::new(script, seen.clone()), seen)
}

#[test]
fn a_body_at_its_end_is_complete_at_once() {
    let (_tee, seen) = tee(Script::new([]).hints_end());
    assert_eq!(seen.endings(), [Ending::Complete]);
}

#[test]
fn a_body_of_declared_length_zero_is_complete_at_once() {
    let seen = Seen::default();
    let _tee = Tee::with_length(Script::new([Data("never read")]), seen.clone(), Some(0));
    assert_eq!(seen.endings(), [Ending::Complete]);
}

#[test]
fn none_completes_it() {
    let (tee, seen) = tee(Script::new([Data("a"), Pending, Data("b")]));
    assert_eq!(play(tee), "a|b");
    assert_eq!((seen.text().as_str(), seen.endings()), ("ab", vec![Ending::Complete]));
}

#[test]
fn trailers_complete_it() {
    let (mut tee, seen) = tee(Script::new([Data("a"), Trailers]));
    assert!(frame(&mut tee).is_ready());
    assert_eq!(seen.endings(), []);
    assert!(frame(&mut tee).is_ready());
    assert_eq!(seen.endings(), [Ending::Complete]);
}

#[test]
fn the_hint_after_a_frame_completes_it_and_trailers_still_pass() {
    let (mut tee, seen) = tee(Script::new([Data("a")]).hints_end());
    assert!(frame(&mut tee).is_ready());
    assert_eq!(seen.endings(), [Ending::Complete]);
    assert!(matches!(frame(&mut tee), Poll::Ready(None)));
    drop(tee);
    assert_eq!(seen.endings().len(), 1);
}

#[test]
fn all_declared_bytes_complete_it_even_if_nobody_polls_again() {
    let seen = Seen::default();
    let script = Script::new([Data("abc"), Data("de")]);
    let mut tee = Tee::with_length(script, seen.clone(), Some(5));
    assert!(frame(&mut tee).is_ready());
    assert_eq!(seen.endings(), []);
    assert!(frame(&mut tee).is_ready());
    drop(tee);
    assert_eq!(seen.endings(), [Ending::Complete]);
}

#[test]
fn an_exact_size_hint_counts_as_declared() {
    let (mut tee, seen) = tee(Script::new([Data("abc")]).exact(3));
    assert!(frame(&mut tee).is_ready());
    drop(tee);
    assert_eq!(seen.endings(), [Ending::Complete]);
}

#[test]
fn an_error_fails_it() {
    let (tee, seen) = tee(Script::new([Data("a"), Error]));
    assert_eq!(play(tee), "a|!");
    assert_eq!(seen.endings(), [Ending::Failed]);
}

#[test]
fn dropped_before_any_of_these_it_is_cancelled() {
    let (mut tee, seen) = tee(Script::new([Data("a"), Pending, Data("b")]));
    assert!(frame(&mut tee).is_ready());
    assert!(frame(&mut tee).is_pending());
    drop(tee);
    assert_eq!((seen.text().as_str(), seen.endings()), ("a", vec![Ending::Cancelled]));
}

#[test]
fn dropped_by_a_panic_it_has_failed() {
    let (tee, seen) = tee(Script::new([Data("a")]));
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _tee = tee;
        panic!("below");
    }));
    assert!(panicked.is_err());
    assert_eq!(seen.endings(), [Ending::Failed]);
}

async fn read(script: Script, max: usize) -> Buffered<Script> {
    Buffered::read(script, max).await
}

#[tokio::test]
async fn a_body_within_the_limit_is_whole_and_can_be_sent_twice() {
    let body = read(Script::new([Data("ab"), Pending, Data("c"), Trailers]), 3).await;
    assert!(body.is_whole());
    assert_eq!(body.bytes().unwrap(), "abc");
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(play(body.replay().unwrap()), "abc|T");
    assert_eq!(play(body), "abc|T");
}

#[tokio::test]
async fn a_body_over_the_limit_streams_with_what_was_read_first() {
    let body = read(Script::new([Data("ab"), Data("cd"), Data("e"), Trailers]), 3).await;
    assert!(!body.is_whole() && body.bytes().is_none() && body.replay().is_none());
    assert_eq!(body.size_hint().lower(), 4);
    assert_eq!(play(body), "ab|cd|e|T");
}

#[tokio::test]
async fn a_read_error_surfaces_where_it_would_have() {
    let body = read(Script::new([Data("ab"), Error, Data("more")]), 9).await;
    assert!(!body.is_whole() && !body.is_end_stream());
    assert_eq!(play(body), "ab|!|more");
}

#[test]
fn what_was_read_is_neither_whole_nor_replayable() {
    let mut body = Buffered::<Script>::whole(Bytes::from_static(b"abc"));
    assert!(frame(&mut body).is_ready());
    assert!(body.bytes().is_none() && body.replay().is_none() && body.into_whole().is_err());
}

#[test]
fn new_content_replaces_whatever_was_there() {
    let mut whole = Buffered::<Script>::whole(Bytes::from_static(b"abc"));
    whole.set_bytes(Bytes::from_static(b"x"));
    assert_eq!(play(whole), "x");
    let mut streaming = Buffered::streaming(Script::new([Data("abc")]));
    streaming.set_bytes(Bytes::from_static(b"y"));
    assert_eq!(streaming.into_whole().unwrap(), "y");
}

#[test]
fn an_empty_whole_body_is_at_its_end() {
    assert!(Buffered::<Script>::whole(Bytes::new()).is_end_stream());
}
