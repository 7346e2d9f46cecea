use super::*;
use crate::{
    log::{Begun, LogRow, Sink},
    record::Record,
};
use http::{Extensions, Method};
use std::sync::{Mutex, PoisonError};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<LogRow>>>);

impl Sink for Kept {
    fn push(&self, row: LogRow) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }
}

fn begun() -> Arc<Begun> {
    Arc::new(Begun {
        record: Record::of(&mut Extensions::new()),
        client: None,
        client_request_id: None,
        dialect: "openai",
        operation: None,
        method: Method::POST,
        path: "/v1/chat/completions".into(),
        bytes_in: None,
    })
}

fn row() -> LogRow {
    LogRow {
        dialect: Some("openai"),
        operation: Some("chat".into()),
        provider: Some("ollama".into()),
        model_used: Some("llama3.1:8b".into()),
        attempts: 1,
        cache: Some("miss"),
        status_code: Some(200),
        ending: "complete",
        first_byte_ms: Some(30),
        latency_ms: 700,
        bytes_in: Some(10),
        bytes_out: 20,
        prompt_tokens: Some(7),
        completion_tokens: Some(5),
        ..LogRow::default()
    }
}

/// The value behind a name with its labels.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

fn has(metrics: &Metrics, sample: &str, expected: f64) {
    let text = metrics.text();
    assert_eq!(value(&text, sample), Some(expected), "{sample} in\n{text}");
}

#[test]
fn a_row_is_counted_where_it_is_handed_on() {
    let (metrics, kept) = (Metrics::new(), Kept::default());
    let sink = Counted::new(metrics.clone(), kept.clone());
    sink.begin(&begun());
    sink.begin(&begun());
    has(&metrics, "unigate_in_flight_requests", 2.0);
    sink.push(row());
    assert_eq!(kept.0.lock().unwrap().len(), 1);
    has(&metrics, "unigate_in_flight_requests", 1.0);
    let request = "unigate_requests_total{dialect=\"openai\",operation=\"chat\",upstream=\"ollama\",\
                   ending=\"complete\",status=\"2xx\"}";
    has(&metrics, request, 1.0);
    let times = "{operation=\"chat\",upstream=\"ollama\"}";
    has(&metrics, &format!("unigate_request_duration_seconds_sum{times}"), 0.7);
    has(&metrics, &format!("unigate_first_byte_seconds_sum{times}"), 0.03);
    let tokens = "unigate_tokens_total{upstream=\"ollama\",model=\"llama3.1:8b\",kind=\"prompt\"}";
    has(&metrics, tokens, 7.0);
    has(&metrics, "unigate_cache_results_total{result=\"miss\"}", 1.0);
    has(&metrics, "unigate_attempts_total{upstream=\"ollama\"}", 1.0);
    has(&metrics, "unigate_body_bytes_total{direction=\"out\"}", 20.0);
    assert!(metrics.text().ends_with("# EOF\n"));
}

#[test]
fn a_client_that_left_early_and_a_hit_name_no_upstream() {
    let metrics = Metrics::new();
    let sink = Counted::new(metrics.clone(), None::<Kept>);
    sink.begin(&begun());
    sink.push(LogRow {
        provider: None,
        status_code: None,
        ending: "cancelled",
        error_code: Some("client_closed"),
        ..row()
    });
    sink.begin(&begun());
    sink.push(LogRow { cache: Some("hit"), attempts: 0, ..row() });
    let labels = "dialect=\"openai\",operation=\"chat\",upstream=\"\"";
    has(
        &metrics,
        &format!("unigate_requests_total{{{labels},ending=\"cancelled\",status=\"none\"}}"),
        1.0,
    );
    has(
        &metrics,
        &format!("unigate_requests_total{{{labels},ending=\"complete\",status=\"2xx\"}}"),
        1.0,
    );
    has(&metrics, "unigate_errors_total{code=\"client_closed\"}", 1.0);
}

#[test]
fn models_without_end_share_one_label() {
    let metrics = Metrics::new();
    let sink = Counted::new(metrics.clone(), None::<Kept>);
    for number in 0..500 {
        sink.begin(&begun());
        sink.push(LogRow { model_used: Some(format!("m{number}")), ..row() });
    }
    sink.begin(&begun());
    sink.push(LogRow { model_used: Some("x".repeat(9000)), ..row() });
    let text = metrics.text();
    assert_eq!(text.matches("kind=\"prompt\"").count(), 101);
    let other = "unigate_tokens_total{upstream=\"ollama\",model=\"other\",kind=\"prompt\"}";
    assert_eq!(value(&text, other), Some(401.0 * 7.0));
}

#[test]
fn a_name_cannot_break_out_of_its_label() {
    let metrics = Metrics::new();
    let sink = Counted::new(metrics.clone(), None::<Kept>);
    sink.begin(&begun());
    sink.push(LogRow { model_used: Some("a\"} 1\nevil_total 9\\".into()), ..row() });
    let text = metrics.text();
    assert!(text.contains(r#"model="a\"} 1\nevil_total 9\\""#), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("evil")), "{text}");
}

#[test]
fn a_reader_is_asked_each_time_and_replaced_by_its_name() {
    let metrics = Metrics::new();
    let count = Arc::new(std::sync::atomic::AtomicU64::new(3));
    let seen = count.clone();
    metrics.read("a", move |to| {
        let now = seen.load(std::sync::atomic::Ordering::Relaxed);
        to.counter("x_seen", "Help", &[("kind", "k")], now);
        to.gauge("x_up", "Help", &[], 0.5);
    });
    has(&metrics, "x_seen_total{kind=\"k\"}", 3.0);
    has(&metrics, "x_up", 0.5);
    count.store(4, std::sync::atomic::Ordering::Relaxed);
    has(&metrics, "x_seen_total{kind=\"k\"}", 4.0);
    metrics.read("a", |to| to.gauge("x_up", "Help", &[], 1.0));
    has(&metrics, "x_up", 1.0);
    assert_eq!(value(&metrics.text(), "x_seen_total{kind=\"k\"}"), None);
    metrics.forget("a");
    assert_eq!(value(&metrics.text(), "x_up"), None);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_known() {
    let text = Metrics::new().text();
    for (name, least) in [
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 3.0),
        ("process_max_fds", 3.0),
        ("process_start_time_seconds", 1.7e9),
    ] {
        let found = value(&text, name);
        assert!(found.is_some_and(|found| found >= least), "{name} {found:?}");
    }
}

#[test]
fn a_host_may_register_the_counters_in_a_registry_of_its_own() {
    let metrics = Metrics::new();
    let mut registry = Registry::with_prefix("host");
    metrics.register(&mut registry);
    let sink = Counted::new(metrics, None::<Kept>);
    sink.begin(&begun());
    sink.push(row());
    let mut text = String::new();
    text::encode(&mut text, &registry).unwrap();
    assert_eq!(value(&text, "host_unigate_cache_results_total{result=\"miss\"}"), Some(1.0));
}
