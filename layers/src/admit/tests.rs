use super::*;
use std::future::poll_fn;

fn gate(places: usize) -> Gate {
    Gate::new(Limits { places, ..Limits::default() })
}

fn name(text: &str) -> Arc<str> {
    text.into()
}

/// Whether it has come to an end, without waiting.
async fn now(enter: &mut Enter) -> Option<Result<Place, Full>> {
    poll_fn(|cx| match Pin::new(&mut *enter).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_its_last_clone_is_gone() {
    let gate = gate(1);
    let place = gate.enter(name("a"), 1).await.unwrap();
    let copy = place.clone();
    let mut next = gate.enter(name("a"), 1);
    drop(place);
    assert!(now(&mut next).await.is_none());
    drop(copy);
    let next = now(&mut next).await.unwrap().unwrap();
    assert_eq!(next.position(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nobody_waits() {
    let gate = gate(0);
    let mut inside = Vec::new();
    for _ in 0..1000 {
        inside.push(gate.enter(name("a"), 1).await.unwrap());
    }
    assert_eq!(gate.count(), (1000, 0));
    inside.clear();
    assert_eq!(gate.count(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_sends_away_at_once_and_says_when_to_come_again() {
    let gate = Gate::new(Limits { places: 2, queue: 1, ..Limits::default() });
    let place = gate.enter(name("a"), 1).await.unwrap();
    tokio::time::advance(Duration::from_secs(30)).await;
    drop(place);
    let _inside = (gate.enter(name("a"), 1).await, gate.enter(name("a"), 1).await);
    let _waits = gate.enter(name("a"), 1);
    let full = gate.enter(name("a"), 2).await.unwrap_err();
    assert_eq!((full.places, full.queued, full.waited), (2, 1, Duration::ZERO));
    // Two are ahead of it, itself included, and two places are held for 30 s each.
    assert_eq!(full.after, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_he_may() {
    let gate = gate(1);
    let _place = gate.enter(name("a"), 1).await.unwrap();
    let begun = Instant::now();
    let full = gate.enter(name("a"), 2).await.unwrap_err();
    assert_eq!((begun.elapsed(), full.waited), (Duration::from_secs(60), Duration::from_secs(60)));
    assert_eq!(gate.count(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_made_ready_is_waited_for_and_no_longer() {
    let gate = gate(1);
    let _place = gate.enter(name("a"), 1).await.unwrap();
    let preparing = gate.prepare(&name("a"));
    let begun = Instant::now();
    let mut waits = gate.enter(name("a"), 2);
    let ready = async {
        tokio::time::sleep(Duration::from_secs(300)).await;
        drop(preparing);
        std::future::pending::<()>().await;
    };
    let full = tokio::select! {
        result = &mut waits => result.unwrap_err(),
        () = ready => unreachable!(),
    };
    assert!(begun.elapsed() >= Duration::from_secs(300), "{full:?}");
    assert!(begun.elapsed() <= Duration::from_secs(302), "{full:?}");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_is_out_of_it_at_once_and_gives_back_what_he_was_given() {
    let gate = gate(1);
    let place = gate.enter(name("a"), 1).await.unwrap();
    let (mut first, mut second) = (gate.enter(name("a"), 2), gate.enter(name("a"), 3));
    assert!(now(&mut first).await.is_none() && now(&mut second).await.is_none());
    assert_eq!(gate.count(), (1, 2));
    // Given to the first, who never hears of it.
    drop(place);
    drop(first);
    assert!(now(&mut second).await.is_some());
    assert_eq!(gate.count(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn clients_take_turns_however_many_guests_one_has() {
    let gate = gate(1);
    let mut place = Some(gate.enter(name("a"), 1).await.unwrap());
    let mut waiting: Vec<(u64, Enter)> = (0..6).map(|_| (1, gate.enter(name("a"), 1))).collect();
    waiting.push((2, gate.enter(name("a"), 2)));
    waiting.push((2, gate.enter(name("a"), 2)));
    let mut order = Vec::new();
    while !waiting.is_empty() {
        drop(place.take());
        for at in 0..waiting.len() {
            if let Some(result) = now(&mut waiting[at].1).await {
                order.push(waiting.remove(at).0);
                place = Some(result.unwrap());
                break;
            }
        }
    }
    assert_eq!(order, [1, 2, 1, 2, 1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_hears_how_many_are_before_him() {
    let gate = gate(1);
    let place = gate.enter(name("a"), 1).await.unwrap();
    let _heavy: Vec<_> = (0..5).map(|_| gate.enter(name("a"), 1)).collect();
    let mut light = gate.enter(name("a"), 2);
    drop(place);
    drop(_heavy);
    assert_eq!(now(&mut light).await.unwrap().unwrap().position(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_has_its_own_limit() {
    let gate = Gate::new(Limits { per_group: 1, ..Limits::default() });
    let _a = gate.enter(name("a"), 1).await.unwrap();
    let mut second = gate.enter(name("a"), 1);
    assert!(now(&mut second).await.is_none());
    assert!(gate.enter(name("b"), 1).await.is_ok());
    assert!(gate.try_enter(&name("a")).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_rival_waits_until_the_other_has_left_and_a_moment_more() {
    let gate = gate(0);
    gate.part(&name("a"), &name("b"));
    let place = gate.enter(name("a"), 1).await.unwrap();
    let mut rival = gate.enter(name("b"), 2);
    assert!(now(&mut rival).await.is_none());
    assert!(gate.enter(name("c"), 2).await.is_ok(), "a third group has nothing to do with it");
    drop(place);
    assert!(now(&mut rival).await.is_none());
    // Who asks again at once is still in the right place.
    drop(gate.enter(name("a"), 1).await.unwrap());
    let begun = Instant::now();
    rival.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_rival_that_has_waited_long_enough_is_next() {
    let gate = gate(0);
    gate.part(&name("a"), &name("b"));
    let first = gate.enter(name("a"), 1).await.unwrap();
    let mut rival = gate.enter(name("b"), 2);
    assert!(now(&mut rival).await.is_none());
    tokio::time::advance(Duration::from_secs(29)).await;
    let second = gate.enter(name("a"), 1).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    let mut third = gate.enter(name("a"), 1);
    assert!(now(&mut third).await.is_none(), "it came after the rival's time");
    drop(first);
    assert!(now(&mut rival).await.is_none(), "nobody is thrown out");
    drop(second);
    let rival = now(&mut rival).await.unwrap().unwrap();
    assert!(now(&mut third).await.is_none());
    drop(rival);
    assert!(third.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_was_seen_together_is_no_rival_any_more() {
    let gate = gate(0);
    gate.part(&name("a"), &name("b"));
    let _a = gate.enter(name("a"), 1).await.unwrap();
    let mut rival = gate.enter(name("b"), 2);
    assert!(now(&mut rival).await.is_none());
    gate.reconcile(&[name("a"), name("b"), name("c")]);
    assert!(now(&mut rival).await.is_some());
}
