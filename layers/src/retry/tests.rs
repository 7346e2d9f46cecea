use super::*;
use crate::body::Buffered;
use crate::notes::{Fallbacks, Served, Target};
use crate::testing::Script;
use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, header::RETRY_AFTER};
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::time::Instant;
use tower::retry::Retry;
use tower::{Service, ServiceExt, service_fn};

/// 5xx: again. 400: done. 404: next. An error: again. Remembers what it was told.
#[derive(Clone, Debug, Default)]
struct ByStatus {
    attempted: Arc<Mutex<Vec<String>>>,
    exhausted: Arc<Mutex<Vec<usize>>>,
}

type Answer = Result<Response<()>, &'static str>;

impl Judge<(), &'static str> for ByStatus {
    fn judge(&self, result: Result<&Response<()>, &&'static str>) -> Verdict {
        let Ok(response) = result else { return Verdict::Same { after: None } };
        let after = response.headers().get(RETRY_AFTER);
        let after = after.map(|text| Duration::from_secs(text.to_str().unwrap().parse().unwrap()));
        match response.status().as_u16() {
            404 => Verdict::Next { after },
            500.. => Verdict::Same { after },
            _ => Verdict::Done,
        }
    }

    fn outcome(&self, result: Result<&Response<()>, &&'static str>) -> Arc<str> {
        match result {
            Ok(response) => response.status().as_str().into(),
            Err(error) => Arc::from(*error),
        }
    }

    fn attempted(&self, _: &Extensions, attempt: &Attempt) {
        self.attempted.lock().unwrap().push(told(attempt));
    }

    fn exhausted(&self, attempts: &[Attempt], _: &mut Answer) {
        self.exhausted.lock().unwrap().push(attempts.len());
    }
}

fn told(attempt: &Attempt) -> String {
    let target = attempt.target.as_ref().map_or("-".to_owned(), ToString::to_string);
    format!("{target} {}", attempt.outcome)
}

fn target(name: &str) -> Target {
    let (upstream, model) = name.split_once('/').unwrap_or((name, "m"));
    Target {
        upstream: upstream.into(),
        scheme: Scheme::HTTP,
        authority: upstream.parse().unwrap(),
        model: Some(model.into()),
    }
}

fn request(targets: &[&str]) -> Request<Buffered<Script>> {
    let mut request = Request::new(Buffered::whole(Bytes::from_static(b"{}")));
    let mut targets = targets.iter().map(|name| target(name));
    if let Some(first) = targets.next() {
        request.extensions_mut().insert(first);
        request.extensions_mut().insert(Fallbacks(targets.collect()));
    }
    request
}

/// `503`, `503 2` with a `retry-after`, or an error's text.
fn answer(script: &'static str) -> Answer {
    let (status, after) = script.split_once(' ').unwrap_or((script, ""));
    let Ok(status) = status.parse::<u16>() else { return Err(script) };
    let mut response = Response::builder().status(status);
    if !after.is_empty() {
        response = response.header(RETRY_AFTER, after);
    }
    Ok(response.body(()).unwrap())
}

// Sends one request to a service that answers by script; the last answer is repeated.
async fn run(
    policy: Fallback<ByStatus>,
    script: &[&'static str],
    request: Request<Buffered<Script>>,
) -> Answer {
    let script = Arc::new(Mutex::new(script.iter().copied().collect::<VecDeque<_>>()));
    let inner = service_fn(move |_: Request<Buffered<Script>>| {
        let mut script = script.lock().unwrap();
        let next = if script.len() > 1 { script.pop_front() } else { script.front().copied() };
        async move { answer(next.unwrap()) }
    });
    Retry::new(policy, inner).oneshot(request).await
}

fn served(answer: &Answer) -> Vec<String> {
    Served::of(answer.as_ref().unwrap()).unwrap().attempts.iter().map(told).collect()
}

fn fallback() -> (Fallback<ByStatus>, ByStatus) {
    let judge = ByStatus::default();
    (Fallback::new(judge.clone()), judge)
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_is_one_attempt() {
    let (policy, judge) = fallback();
    let answer = run(policy, &["200"], request(&["a"])).await;
    assert_eq!(served(&answer), ["a/m 200"]);
    assert!(judge.exhausted.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_target_again_then_the_next_and_each_is_named() {
    let (policy, judge) = fallback();
    let answer = run(policy, &["503", "refused", "503", "200"], request(&["a", "b/x", "c"])).await;
    let expected = ["a/m 503", "a/m refused", "b/x 503", "b/x 200"];
    assert_eq!(served(&answer), expected);
    assert_eq!(*judge.attempted.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_will_not_do_is_left_at_once() {
    let (policy, _) = fallback();
    let start = Instant::now();
    let answer = run(policy, &["404", "200"], request(&["a", "b"])).await;
    assert_eq!(served(&answer), ["a/m 404", "b/m 200"]);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn when_all_failed_the_last_answer_stays_and_the_judge_is_told() {
    let (policy, judge) = fallback();
    let answer = run(policy.tries_per_target(1), &["503"], request(&["a", "b"])).await;
    assert_eq!(answer.as_ref().unwrap().status(), 503);
    assert_eq!(served(&answer), ["a/m 503", "b/m 503"]);
    assert_eq!(*judge.exhausted.lock().unwrap(), [2]);
    let (policy, judge) = fallback();
    assert_eq!(run(policy, &["refused"], request(&[])).await.unwrap_err(), "refused");
    assert_eq!(*judge.attempted.lock().unwrap(), ["- refused", "- refused"]);
}

#[tokio::test(start_paused = true)]
async fn the_upstreams_wish_to_be_left_alone_is_obeyed() {
    let (policy, _) = fallback();
    let start = Instant::now();
    let answer = run(policy, &["503 7", "200"], request(&["a", "b"])).await;
    assert_eq!(served(&answer), ["a/m 503", "a/m 200"]);
    assert_eq!(start.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_wants_to_be_left_alone_for_long_is_passed_over() {
    let (policy, _) = fallback();
    let start = Instant::now();
    let answer = run(policy, &["503 11", "200"], request(&["a", "a/other", "b"])).await;
    assert_eq!(served(&answer), ["a/m 503", "b/m 200"], "its other model is no better");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn another_model_of_the_same_upstream_waits_as_asked() {
    let (policy, _) = fallback();
    let start = Instant::now();
    let answer = run(policy, &["404 3", "200"], request(&["a", "a/other"])).await;
    assert_eq!(served(&answer), ["a/m 404", "a/other 200"]);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn no_wait_passes_the_deadline() {
    let (policy, judge) = fallback();
    let policy = policy.deadline(Duration::from_secs(5));
    let start = Instant::now();
    let answer = run(policy, &["503 6"], request(&["a"])).await;
    assert_eq!(served(&answer).len(), 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(judge.exhausted.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let (policy, judge) = fallback();
    let slow = service_fn(|_: Request<Buffered<Script>>| async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        answer("503")
    });
    let policy = policy.deadline(Duration::from_secs(5));
    let answer = Retry::new(policy, slow).oneshot(request(&["a", "b"])).await;
    assert_eq!(served(&answer), ["a/m 503"]);
    let elapsed = Served::of(answer.as_ref().unwrap()).unwrap().attempts[0].elapsed;
    assert_eq!(elapsed, Duration::from_secs(6));
    assert_eq!(*judge.exhausted.lock().unwrap(), [1]);
}

#[tokio::test(start_paused = true)]
async fn backoff_stays_under_its_limits() {
    let (policy, _) = fallback();
    let policy =
        policy.tries_per_target(6).backoff(Duration::from_millis(50), Duration::from_millis(200));
    let start = Instant::now();
    run(policy, &["503"], request(&["a"])).await.unwrap();
    // 50 + 100 + 200 + 200 + 200, and a millisecond of the timer's grain each.
    assert!(start.elapsed() <= Duration::from_millis(755), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_must_not_be_sent_twice_is_not() {
    let (policy, _) = fallback();
    let mut only_once = request(&["a", "b"]);
    only_once.extensions_mut().insert(NoRetry);
    assert_eq!(served(&run(policy, &["503"], only_once).await), ["a/m 503"]);
}

#[tokio::test(start_paused = true)]
async fn a_streaming_body_is_sent_once() {
    let (policy, judge) = fallback();
    let streaming = request(&["a", "b"]).map(|_| Buffered::streaming(Script::new([])));
    let answer = run(policy, &["503", "200"], streaming).await;
    assert_eq!(answer.unwrap().status(), 503);
    assert!(judge.attempted.lock().unwrap().is_empty(), "the policy never hears of it");
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_the_same_request() {
    let (policy, _) = fallback();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let inner = {
        let seen = Arc::clone(&seen);
        service_fn(move |request: Request<Buffered<Script>>| {
            let (head, body) = request.into_parts();
            let note = head.extensions.get::<&str>().copied();
            let head =
                format!("{} {} {:?} {:?}", head.method, head.uri, head.version, head.headers);
            seen.lock().unwrap().push((head, note, crate::testing::play(body)));
            async { answer("503") }
        })
    };
    let mut sent = Request::put("/x?y").header("a", "b").extension("note");
    sent = sent.version(http::Version::HTTP_10);
    let sent = sent.body(Buffered::whole(Bytes::from_static(b"body"))).unwrap();
    drop(Retry::new(policy, inner).oneshot(sent).await);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
    assert_eq!((seen[0].1, seen[0].2.as_str()), (Some("note"), "body"));
}

#[tokio::test(start_paused = true)]
async fn one_service_answers_many_requests_and_each_starts_afresh() {
    let (policy, _) = fallback();
    let inner = service_fn(|_: Request<Buffered<Script>>| async { answer("503") });
    let mut retry = Retry::new(policy, inner);
    for _ in 0..3 {
        let answer = retry.ready().await.unwrap().call(request(&["a", "b"])).await;
        assert_eq!(served(&answer).len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_a_storm_and_fills_again() {
    let (policy, _) = fallback();
    let budget = Arc::new(Budget::new(50, 0, Duration::from_secs(10)));
    let policy = policy.budget(Arc::clone(&budget));
    let mut attempts = 0;
    for _ in 0..20 {
        attempts += served(&run(policy.clone(), &["503"], request(&["a"])).await).len();
    }
    assert_eq!(attempts, 20 + 10, "half of twenty requests");
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(!budget.withdraw("a"), "what was long ago counts no longer");
    budget.deposit("a");
    budget.deposit("a");
    assert!(budget.withdraw("a"));
    assert!(!budget.withdraw("a"));
}

#[tokio::test(start_paused = true)]
async fn a_budget_has_a_reserve_and_an_account_per_upstream() {
    let budget = Budget::new(0, 1, Duration::from_secs(3));
    let taken = |name| (0..9).filter(|_| budget.withdraw(name)).count();
    assert_eq!((taken("a"), taken("a"), taken("b")), (3, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn the_few_are_part_of_the_share_and_not_beside_it() {
    let budget = Budget::new(20, 2, Duration::from_secs(10));
    for _ in 0..1_000 {
        budget.deposit("a");
    }
    assert_eq!((0..1_000).filter(|_| budget.withdraw("a")).count(), 200);
    budget.set_percent(30);
    assert_eq!((0..1_000).filter(|_| budget.withdraw("a")).count(), 100);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_pay_for_the_same_again_goes_on_to_what_is_free() {
    let (policy, _) = fallback();
    let budget = Arc::new(Budget::new(0, 0, Duration::from_secs(10)));
    let policy = policy.budget(budget).free_fallbacks(true);
    let answer = run(policy, &["503", "200"], request(&["a", "b"])).await;
    assert_eq!(served(&answer), ["a/m 503", "b/m 200"]);
}

#[tokio::test(start_paused = true)]
async fn each_upstream_pays_for_its_own_repetitions() {
    let (policy, _) = fallback();
    let budget = Arc::new(Budget::new(100, 0, Duration::from_secs(10)));
    let policy = policy.tries_per_target(9).budget(budget).free_fallbacks(true);
    let answer = run(policy, &["503"], request(&["a", "b", "a/n"])).await;
    // One client's request is one repetition at each; a second model of the first is one more.
    assert_eq!(served(&answer), ["a/m 503", "a/m 503", "b/m 503", "b/m 503"]);
}

#[tokio::test(start_paused = true)]
async fn fallbacks_cost_the_budget_unless_they_are_free() {
    let empty = || Arc::new(Budget::new(0, 0, Duration::from_secs(10)));
    let (policy, _) = fallback();
    let answer = run(policy.clone().budget(empty()), &["503", "200"], request(&["a", "b"])).await;
    assert_eq!(served(&answer), ["a/m 503"]);
    let policy = policy.tries_per_target(1).budget(empty()).free_fallbacks(true);
    let answer = run(policy, &["503", "200"], request(&["a", "b"])).await;
    assert_eq!(served(&answer), ["a/m 503", "b/m 200"]);
}

#[tokio::test(start_paused = true)]
async fn names_without_end_do_not_fill_the_memory() {
    let budget = Budget::new(100, 0, Duration::from_secs(10));
    for n in 0..5000 {
        budget.deposit(&n.to_string());
    }
    assert!(format!("{budget:?}").contains("accounts: 1025"), "{budget:?}");
}
