//! One row a request, whatever became of it, and never in anybody's way.

use crate::{
    streaming::next,
    support::{Gateway, Script, Seen, Step, Upstream, config},
};
use http::Method;
use serde_json::{Value, json};

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "secret plan" }] })
}

async fn ollama() -> Upstream {
    Upstream::start(&["m"], |seen: &Seen| match seen.json()["stream"] == json!(false) {
        true => Script::said("the answer"),
        false => Script::chat(&["the", " answer"]),
    })
    .await
}

/// The columns of a row that a test is about.
fn columns(row: &Value, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| row[*name].clone()).collect()
}

#[tokio::test]
async fn a_finished_answer_says_who_asked_what_who_answered_and_what_it_took() {
    let upstream = ollama().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.aliases.insert("nick".into(), "m".into());
    let gateway = Gateway::start(config).await;
    let client = gateway.client().with("user-agent", "test/1").with("x-request-id", "mine-7");
    let mut body = ask(true);
    body["model"] = "nick".into();
    let answer = client.post("/v1/chat/completions", &body).await;
    let sent = body.to_string().len();
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    for (column, expected) in [
        ("id", json!(answer.header("x-request-id"))),
        ("client", json!("test/1")),
        ("client_request_id", json!("mine-7")),
        ("key_id", Value::Null),
        ("dialect", json!("openai")),
        ("operation", json!("chat")),
        ("method", json!("POST")),
        ("path", json!("/v1/chat/completions")),
        ("model_requested", json!("nick")),
        ("model_used", json!("m")),
        ("provider", json!("ollama")),
        ("upstream_dialect", json!("ollama")),
        ("route", json!("alias")),
        ("route_reason", json!("nick means m")),
        ("streamed", json!(1)),
        ("attempts", json!(1)),
        ("attempts_detail", json!("ollama/m 200")),
        ("fallback_used", json!(0)),
        ("cache", json!("bypass")),
        ("status_code", json!(200)),
        ("ending", json!("complete")),
        ("error_code", Value::Null),
        ("error_message", Value::Null),
        ("bytes_in", json!(sent)),
        ("bytes_out", json!(answer.body.len())),
        ("prompt_tokens", json!(3)),
        ("completion_tokens", json!(2)),
        ("total_tokens", json!(5)),
        ("prompt", Value::Null),
        ("answer", Value::Null),
    ] {
        assert_eq!(row[column], expected, "{column}");
    }
    let number = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row}"));
    assert!(number("first_byte_ms") <= number("latency_ms"));
    assert!(number("started_ms") > 1_700_000_000_000);
    let time = row["timestamp"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    assert!(!row.to_string().contains("secret plan") && !row.to_string().contains("the answer"));
}

#[tokio::test]
async fn every_kind_of_request_has_exactly_one_row() {
    let upstream = ollama().await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let mut ids = Vec::new();
    for (method, path, body) in [
        (Method::POST, "/api/chat", ask(false).to_string()),
        (Method::POST, "/api/chat", ask(false).to_string()),
        (Method::POST, "/v1/chat/completions", "{".to_owned()),
        (Method::GET, "/api/tags", String::new()),
        (Method::HEAD, "/", String::new()),
        (Method::GET, "/health", String::new()),
        (Method::GET, "/v1/models/m", String::new()),
        (Method::GET, "/v1/models/nobody", String::new()),
        (Method::GET, "/unigate/x", String::new()),
        (Method::POST, "/api/generate", r#"{"model":"m","stream":false}"#.to_owned()),
    ] {
        let answer = client.send(method, path, body).await;
        tokio::task::yield_now().await;
        ids.push(answer.header("x-request-id").to_owned());
    }
    let refused = client.with("host", "evil.example.com").get("/api/tags").await;
    ids.push(refused.header("x-request-id").to_owned());
    let page =
        client.with("origin", "http://localhost").with("access-control-request-method", "POST");
    ids.push(page.send(Method::OPTIONS, "/api/chat", "").await.header("x-request-id").to_owned());
    let rows = gateway.stop().await;
    let logged: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(logged, ids, "each answer names its row");
    let got: Vec<_> =
        rows.iter().map(|row| columns(row, &["path", "status_code", "ending", "cache"])).collect();
    let expected = [
        json!(["/api/chat", 200, "complete", "miss"]),
        json!(["/api/chat", 200, "complete", "hit"]),
        json!(["/v1/chat/completions", 400, "failed", null]),
        json!(["/api/tags", 200, "complete", "bypass"]),
        json!(["/", 200, "complete", "bypass"]),
        json!(["/health", 200, "complete", "bypass"]),
        json!(["/v1/models/m", 200, "complete", "bypass"]),
        json!(["/v1/models/nobody", 404, "failed", "bypass"]),
        json!(["/unigate/x", 404, "failed", "bypass"]),
        json!(["/api/generate", 200, "complete", "bypass"]),
        json!(["/api/tags", 403, "failed", null]),
        json!(["/api/chat", 204, "complete", null]),
    ];
    for (got, expected) in got.iter().zip(&expected) {
        assert_eq!(&json!(got), expected);
    }
    let (miss, hit) = (&rows[0], &rows[1]);
    let same = ["model_used", "provider", "route", "prompt_tokens", "completion_tokens"];
    assert_eq!(columns(hit, &same), columns(miss, &same), "a hit says whose answer it is");
    assert_eq!(hit["attempts"], 0, "and that nobody was asked");
}

#[tokio::test]
async fn a_client_that_left_and_an_answer_that_broke_have_rows_of_their_own() {
    let upstream = Upstream::start(&["m"], |seen: &Seen| match seen.json()["seed"].as_u64() {
        Some(1) => Script::chat(&["a"]).then(1, Step::Hang),
        _ => Script::chat(&["a"]).cut(1),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let mut body = ask(true);
    body["seed"] = 1.into();
    let mut answer = client.open(Method::POST, "/api/chat", body.to_string()).await;
    next(&mut answer).await.unwrap();
    drop(answer);
    upstream.cut_off(1).await;
    client.post("/api/chat", &ask(true)).await;
    let rows = gateway.stop().await;
    let what = ["ending", "error_code", "status_code", "model_used", "completion_tokens"];
    let got: Vec<_> = rows.iter().map(|row| json!(columns(row, &what))).collect();
    assert_eq!(
        got,
        [
            json!(["cancelled", "client_closed", 200, "m", null]),
            json!(["failed", "upstream_incomplete", 200, "m", null]),
        ]
    );
    assert!(rows[1]["error_message"].as_str().unwrap().contains("ollama"), "{}", rows[1]);
}

#[tokio::test]
async fn tokens_that_nobody_counted_are_null_and_not_zero() {
    let mut answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "g",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "x" } }] });
    let upstream = {
        let answer = answer.clone();
        Upstream::start(&["m"], move |_| Script::json(&answer)).await
    };
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    for path in ["/v1/chat/completions", "/api/chat"] {
        assert_eq!(gateway.client().post(path, &ask(false)).await.status, 200);
    }
    for row in gateway.stop().await {
        for column in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            assert_eq!(row[column], Value::Null, "{column}");
        }
    }
    answer["usage"] = json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 });
    let upstream = Upstream::start(&["m"], move |_| Script::json(&answer)).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    gateway.client().post("/v1/chat/completions", &ask(false)).await;
    let row = &gateway.stop().await[0];
    assert_eq!(row["completion_tokens"], 0, "a counted nothing is zero");
}

#[tokio::test]
async fn prompts_and_answers_are_kept_only_when_asked_for_and_up_to_a_size() {
    let upstream = ollama().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.log.prompts = true;
    let gateway = Gateway::start(config).await;
    let answer = gateway.client().post("/api/chat", &ask(true)).await;
    let mut long = ask(false);
    long["messages"][0]["content"] = "x".repeat(200_000).into();
    gateway.client().post("/api/chat", &long).await;
    let rows = gateway.stop().await;
    assert_eq!(rows[0]["prompt"], ask(true).to_string());
    assert_eq!(rows[0]["answer"], answer.text());
    assert_eq!(rows[1]["prompt"].as_str().unwrap().len(), 64 * 1024);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_costs_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "no database at all, but long enough to be looked at".repeat(50))
        .unwrap();
    let directory = folder.path().join("directory");
    std::fs::create_dir(&directory).unwrap();
    for path in [file.join("requests.db"), directory, garbage.clone()] {
        let upstream = ollama().await;
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.log.path = Some(path.clone());
        let mut gateway = Gateway::start(config).await;
        for stream in [true, false] {
            let answer = gateway.client().post("/api/chat", &ask(stream)).await;
            assert_eq!((answer.status.as_u16(), answer.whole), (200, true), "{path:?}");
        }
        gateway.begin_stop();
        gateway.stopped().await;
    }
    let untouched = std::fs::read_to_string(&garbage).unwrap();
    assert!(untouched.starts_with("no database"), "what is not ours is left alone");
}

#[tokio::test]
async fn two_hundred_at_once_are_two_hundred_rows() {
    let upstream = ollama().await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let mut asking = tokio::task::JoinSet::new();
    for at in 0..200 {
        let client = client.clone();
        asking.spawn(async move {
            let path = ["/api/chat", "/v1/chat/completions"][at % 2];
            let answer = client.post(path, &ask(at % 3 == 0)).await;
            (answer.status.as_u16(), answer.header("x-request-id").to_owned())
        });
    }
    let mut ids = Vec::new();
    while let Some(answer) = asking.join_next().await {
        let (status, id) = answer.unwrap();
        assert_eq!(status, 200);
        ids.push(id);
    }
    let rows = gateway.stop().await;
    let mut logged: Vec<_> =
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    logged.sort();
    assert_eq!((logged.len(), logged == ids), (200, true));
}

#[tokio::test]
async fn what_was_written_against_the_python_gateways_file_still_runs() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), ollama().await);
    let path = folder.path().join("requests.db");
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.log.path = Some(path.clone());
    let gateway = Gateway::start(config).await;
    gateway.client().post("/v1/chat/completions", &ask(false)).await;
    gateway.stop().await;
    let db = rusqlite::Connection::open(path).unwrap();
    let row = db
        .query_row(
            "SELECT id, timestamp, model_requested, model_used, provider, latency_ms, prompt_tokens, \
             completion_tokens, total_tokens, status_code, fallback_used, error_message \
             FROM request_logs WHERE path = '/v1/chat/completions' ORDER BY timestamp DESC",
            [],
            |row| Ok((row.get::<_, String>(3)?, row.get::<_, i64>(8)?, row.get::<_, bool>(10)?)),
        )
        .unwrap();
    assert_eq!(row, ("m".to_owned(), 5, false));
    let models: i64 = db
        .query_row(
            "SELECT count(*) FROM request_logs WHERE status_code < 400 AND fallback_used = 0 \
             AND date(timestamp) >= date('now', '-1 day') GROUP BY model_used HAVING model_used = 'm'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(models, 1);
}

#[tokio::test]
async fn what_was_left_out_and_what_tokens_were_spent_on_stand_in_the_row() {
    let local = ollama().await;
    let cloud = Upstream::always(
        &["g"],
        Script::json(&json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "g",
            "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": "hi" } }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
                "prompt_tokens_details": { "cached_tokens": 7 },
                "completion_tokens_details": { "reasoning_tokens": 4 } },
        })),
    )
    .await;
    let upstreams = [("local", "ollama", &local), ("cloud", "openai", &cloud)];
    let gateway = Gateway::start(config(&upstreams)).await;
    let mut body = ask(false);
    body["logit_bias"] = json!({ "1": 5 });
    let answer = gateway.client().post("/v1/chat/completions", &body).await;
    assert_eq!(answer.header("x-unigate-warning"), "local does not take: logit_bias");
    body["model"] = "g".into();
    gateway.client().post("/v1/chat/completions", &body).await;
    let rows = gateway.stop().await;
    let spent = ["warnings", "cached_tokens", "reasoning_tokens"];
    let warned = json!("local does not take: logit_bias");
    assert_eq!(columns(&rows[0], &spent), [warned, Value::Null, Value::Null]);
    assert_eq!(columns(&rows[1], &spent), [Value::Null, json!(7), json!(4)]);
}

#[tokio::test]
async fn what_takes_long_stands_beside_the_rows_until_it_ends_and_is_lost_in_a_crash() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let mut script = Script::chat(&["one", "two"]);
    script.steps.insert(1, Step::Wait(go.clone()));
    let upstream = Upstream::always(&["m"], script).await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let mut answer = client.open(Method::POST, "/api/chat", ask(true).to_string()).await;
    next(&mut answer).await.unwrap();
    let running = |db: &std::path::Path| -> Vec<(String, String, String, String)> {
        let db = rusqlite::Connection::open(db).unwrap();
        let columns = "id, model_requested, provider, path";
        let mut rows = db.prepare(&format!("SELECT {columns} FROM request_running")).unwrap();
        let rows =
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let open = loop {
        let open = running(&gateway.db);
        if !open.is_empty() {
            break open;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(open, [(id.clone(), "m".into(), "ollama".into(), "/api/chat".into())]);
    // The file as a crash would leave it now.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("requests.db");
    rusqlite::Connection::open(&gateway.db)
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    go.notify_one();
    while next(&mut answer).await.is_some() {}
    let db = gateway.db.clone();
    // What is written at the end takes its place in the same transaction.
    while !running(&db).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let rows = gateway.stop().await;
    assert_eq!(
        (rows.len(), &rows[0]["ending"], &rows[0]["id"]),
        (1, &json!("complete"), &json!(id))
    );
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.log.path = Some(copy);
    let rows = Gateway::start(config).await.stop().await;
    let what = ["id", "ending", "error_code", "status_code", "model_used", "path"];
    let lost = json!([id, "lost", "gateway_crashed", null, "m", "/api/chat"]);
    assert_eq!(rows.iter().map(|row| json!(columns(row, &what))).collect::<Vec<_>>(), [lost]);
}

#[tokio::test]
async fn in_strict_mode_the_row_is_there_when_the_client_has_the_end() {
    let upstream = ollama().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.log.strict = true;
    let gateway = Gateway::start(config).await;
    let db = rusqlite::Connection::open(&gateway.db).unwrap();
    let written = |id: &str| -> i64 {
        let sql = "SELECT count(*) FROM request_logs WHERE id = ?1";
        db.query_row(sql, [id], |row| row.get(0)).unwrap()
    };
    let client = gateway.client();
    for at in 0..20 {
        let (method, path, body) = match at % 5 {
            0 => (Method::POST, "/api/chat", ask(true).to_string()),
            1 => (Method::POST, "/v1/chat/completions", ask(true).to_string()),
            2 => (Method::POST, "/v1/chat/completions", ask(false).to_string()),
            3 => (Method::POST, "/v1/chat/completions", "{".to_owned()),
            _ => (Method::HEAD, "/", String::new()),
        };
        let answer = client.send(method, path, body).await;
        assert_eq!(written(answer.header("x-request-id")), 1, "{path} {at}");
    }
    gateway.stop().await;
}
