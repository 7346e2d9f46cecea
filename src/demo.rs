//! The gateway at work, with nothing installed: scripted upstreams, the real stack, real requests over sockets.

mod scripted;

use self::scripted::{CLOUD, Scripted};
use crate::{
    config::{Config, Loaded, Sources, Upstream},
    run,
};
use bytes::Bytes;
use http::{HeaderMap, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::oneshot};

/// A request and its answer, timed.
struct Answer {
    headers: HeaderMap,
    body: Bytes,
    first: Duration,
    total: Duration,
    frames: usize,
}

struct Demo<'a, W> {
    out: &'a mut W,
    at: String,
    client: Client<HttpConnector, Full<Bytes>>,
    failed: Vec<String>,
}

/// Runs the demonstration and prints what it does; ends by itself in a few seconds.
///
/// Returns the file with the log's rows, for whoever wants to look at them.
///
/// # Errors
/// What did not happen as it should have, in words.
pub async fn run(out: &mut impl Write) -> Result<PathBuf, String> {
    let io = |error: io::Error| error.to_string();
    let (ollama, cloud) =
        (Scripted::start().await.map_err(io)?, Scripted::start().await.map_err(io)?);
    let folder = std::env::temp_dir().join(format!("unigate-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(io)?;
    let log = folder.join("requests.db");
    let _ = std::fs::remove_file(&log);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
    let at = listener.local_addr().map_err(io)?.to_string();
    let loaded = Loaded {
        config: config(&ollama, &cloud, log.clone()),
        file: None,
        notes: Vec::new(),
        sources: Sources::default(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let gateway = tokio::spawn(run::serve(
        listener,
        loaded,
        async {
            let _ = stopped.await;
        },
        std::future::pending(),
    ));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut demo = Demo { out, at, client, failed: Vec::new() };
    demo.ready().await?;
    let told = demo.tell(ollama).await;
    let _ = stop.send(());
    gateway.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    told.map_err(|error| error.to_string())?;
    if demo.failed.is_empty() { Ok(log) } else { Err(demo.failed.join("; ")) }
}

fn config(ollama: &Scripted, cloud: &Scripted, log: PathBuf) -> Config {
    let mut config = Config::default();
    let upstream = |provider: &str, url: String| Upstream {
        provider: provider.into(),
        url: Some(url),
        ..Upstream::default()
    };
    config.upstream = [
        ("ollama".to_owned(), upstream("ollama", format!("http://{}", ollama.addr))),
        ("cloud".to_owned(), upstream("openai", format!("http://{}/v1", cloud.addr))),
    ]
    .into();
    config.models.fallback = vec![format!("cloud/{CLOUD}")];
    config.log.path = Some(log);
    config
}

impl<W: Write> Demo<'_, W> {
    async fn ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            let request =
                Request::get(format!("http://{}/api/tags", self.at)).body(Full::default());
            if let Ok(request) = request
                && let Ok(response) = self.client.request(request).await
                && response.status().is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the gateway did not become ready".into())
    }

    async fn tell(&mut self, ollama: Scripted) -> io::Result<()> {
        writeln!(
            self.out,
            "unigate demo: a real gateway on {}, two scripted upstreams, no model installed\n",
            self.at
        )?;

        writeln!(self.out, "1. One model name, three models: \"auto\" reads the intent")?;
        let essay = "Write a long story about a lighthouse keeper and the sea";
        for (prompt, expected) in [
            ("Write a Python function that merges two sorted lists", "qwen2.5-coder:7b"),
            ("hi there", "gemma3:1b"),
            (essay, "llama3.1:8b"),
        ] {
            let answer = self.chat("auto", prompt, false).await;
            let model = header(&answer, "x-unigate-model");
            writeln!(
                self.out,
                "   {prompt:<57} -> {model:<17} {}",
                header(&answer, "x-unigate-route")
            )?;
            self.expect(model == expected, format!("{prompt:?} went to {model:?}"));
        }

        writeln!(
            self.out,
            "\n2. A stream, passed on token by token (OpenAI client, Ollama model)"
        )?;
        let answer = self.chat("llama3.1:8b", essay, true).await;
        let text = events(&answer.body);
        writeln!(
            self.out,
            "   \"{text}\"\n   {} frames, the first after {} ms, the last after {} ms",
            answer.frames,
            answer.first.as_millis(),
            answer.total.as_millis()
        )?;
        self.expect(
            answer.frames > 5 && text.ends_with("nothing."),
            "the stream was not whole".into(),
        );

        writeln!(self.out, "\n3. The same question again: the cache answers")?;
        let question = "Tell me about caches and what they are good for, please, in some detail";
        let first = self.chat("auto:default", question, false).await;
        let mut second = self.chat("auto:default", question, false).await;
        // An answer is kept behind the client's back; on a busy machine that may take a moment.
        for _ in 0..50 {
            if header(&second, "x-unigate-cache") == "HIT" {
                break;
            }
            second = self.chat("auto:default", question, false).await;
        }
        let (miss, hit) = (header(&first, "x-unigate-cache"), header(&second, "x-unigate-cache"));
        writeln!(
            self.out,
            "   {miss} {:.1} ms, then {hit} {:.1} ms   ({})",
            ms(first.total),
            ms(second.total),
            header(&second, "cache-status")
        )?;
        self.expect(hit == "HIT", format!("the second answer was a {hit}"));

        writeln!(self.out, "\n4. Ollama is killed: the fallback answers the same request")?;
        ollama.kill().await;
        let answer = self.chat("auto", "Explain in depth why redundancy matters", false).await;
        let text = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        let text = text["choices"][0]["message"]["content"].as_str().unwrap_or("").to_owned();
        writeln!(self.out, "   \"{text}\"\n   {}", header(&answer, "x-unigate-fallback"))?;
        self.expect(header(&answer, "x-unigate-upstream") == "cloud", "no fallback".into());

        writeln!(self.out, "\n5. An Ollama client, answered by an OpenAI upstream")?;
        let body = json!({ "model": CLOUD, "messages": [{ "role": "user", "content": "hello" }] });
        let answer = self.send("/api/chat", &body).await;
        let lines: Vec<Value> = answer
            .body
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let last = lines.last().cloned().unwrap_or_default();
        writeln!(
            self.out,
            "   {} lines of {}; the last one: done={} done_reason={} eval_count={}",
            lines.len(),
            header(&answer, CONTENT_TYPE.as_str()),
            last["done"],
            last["done_reason"],
            last["eval_count"]
        )?;
        self.expect(last["done"] == json!(true), "no line said done".into());
        Ok(())
    }

    fn expect(&mut self, holds: bool, otherwise: String) {
        if !holds {
            self.failed.push(otherwise);
        }
    }

    async fn chat(&mut self, model: &str, prompt: &str, stream: bool) -> Answer {
        let messages = json!([{ "role": "user", "content": prompt }]);
        let body = json!({ "model": model, "messages": messages, "stream": stream });
        self.send("/v1/chat/completions", &body).await
    }

    async fn send(&mut self, path: &str, body: &Value) -> Answer {
        let started = Instant::now();
        match self.exchange(path, body, started).await {
            Ok(answer) => answer,
            Err(error) => {
                self.failed.push(format!("{path}: {error}"));
                let total = started.elapsed();
                let (headers, body) = (HeaderMap::new(), Bytes::new());
                Answer { headers, body, first: total, total, frames: 0 }
            }
        }
    }

    async fn exchange(&self, path: &str, body: &Value, started: Instant) -> Result<Answer, String> {
        let request = Request::post(format!("http://{}{path}", self.at))
            .header(CONTENT_TYPE, "application/json")
            .header("user-agent", "unigate-demo")
            .body(Full::from(body.to_string()))
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let (head, mut body) = response.into_parts();
        let (mut all, mut first, mut frames) = (Vec::new(), None, 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| error.to_string())?;
            if let Ok(data) = frame.into_data() {
                first.get_or_insert_with(|| started.elapsed());
                frames += 1;
                all.extend_from_slice(&data);
            }
        }
        let total = started.elapsed();
        let first = first.unwrap_or(total);
        Ok(Answer { headers: head.headers, body: all.into(), first, total, frames })
    }
}

/// The text of a chat's events.
fn events(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks.filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
