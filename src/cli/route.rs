//! `unigate route`: which model would answer, without asking it.

use super::{Failure, serve::runtime, settings::Settings};
use crate::{
    catalog::State,
    config::Loaded,
    discovery::Discovery,
    error::Error,
    front::{Ask, Front},
    gateway,
    route::{Matched, Route as Decided, Router, Step, virtual_rule},
};
use clap::Args;
use http::{HeaderMap, Method};
use serde_json::json;
use std::{io::Write, path::PathBuf};
use unigate_layers::notes::Target;

/// What to decide about.
#[derive(Args, Clone, Debug)]
pub(super) struct Route {
    /// The prompt
    #[arg(required_unless_present = "file")]
    pub(super) prompt: Option<String>,
    /// The model asked for
    #[arg(long, default_value = "auto")]
    pub(super) model: String,
    /// A request body in JSON, OpenAI's or Ollama's, in place of a prompt
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub(super) file: Option<PathBuf>,
    /// Show every rule, and why it matched or did not
    #[arg(long)]
    pub(super) explain: bool,
    /// As one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
}

/// What was asked, taken apart: the dialect it is in, and its bytes.
struct Asked {
    front: Front,
    body: Vec<u8>,
}

pub(super) fn run(loaded: &Loaded, ask: &Route, out: &mut impl Write) -> Result<(), Failure> {
    let config = &loaded.config;
    let asked = asked(ask)?;
    let operation = asked.front.operation.expect("named from a path of the dialect");
    let wanted = asked
        .front
        .dialect
        .ask(operation, &asked.body)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let discovery = Discovery::new(config, "unigate-route");
    let catalog = runtime()?.block_on(discovery.refresh());
    let addresses = gateway::addresses(config).map_err(|lines| Failure::Usage(lines.join("\n")))?;
    let router = Router::new(config, addresses, catalog.clone()).map_err(Failure::Usage)?;
    let prompt = asked.front.dialect.prompt(operation, &asked.body);
    let none = HeaderMap::new();
    let decided = router.decide(asked.front, Some(&wanted), || prompt.clone(), &none);
    let route = match decided {
        Ok(route) => route,
        // The rule is known even while nobody says which models there are.
        Err(error) => {
            let rule = wanted.model.as_deref().and_then(virtual_rule);
            let chosen = rule.and_then(|rule| router.rule(rule, &prompt, &none));
            let (matched, looked) = chosen.ok_or_else(|| Failure::Failed(error.to_string()))?;
            return undecided(ask, &wanted, &matched, &looked, &error, out);
        }
    };
    if ask.json {
        return json(&wanted, &route, out);
    }
    let target = &route.target;
    let model = target.model.as_deref().unwrap_or("*");
    writeln!(out, "requested   {}", wanted.model.as_deref().unwrap_or("(no model)"))?;
    if ask.explain {
        steps(&route.steps, out)?;
    }
    writeln!(out, "rule        {}   {}", route.decision.rule, route.decision.why)?;
    let known = catalog.model(&target.upstream, model);
    let state = match catalog.upstreams.get(&target.upstream).map(|listing| &listing.state) {
        Some(State::Down(why)) => format!("not there now: {why}"),
        _ if known.is_some_and(|model| model.installed.loaded) => "loaded".to_owned(),
        _ if known.is_some() => "installed, not loaded".to_owned(),
        _ => "not listed".to_owned(),
    };
    writeln!(out, "target      {model}   ({}, {state})", target.upstream)?;
    let names = route.fallbacks.iter().map(name).collect::<Vec<_>>().join(", then ");
    writeln!(out, "fallbacks   {}", if names.is_empty() { "none" } else { &names })?;
    Ok(out.flush()?)
}

/// What can be said when the rule's model is not known.
fn undecided(
    ask: &Route,
    wanted: &Ask,
    matched: &Matched,
    looked: &[Step],
    error: &Error,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if ask.json {
        let line = json!({
            "requested": wanted.model.as_deref(), "rule": matched.rule, "why": matched.why,
            "role": matched.model, "upstream": null, "model": null, "error": error.to_string(),
        });
        writeln!(out, "{line}")?;
        return Ok(out.flush()?);
    }
    writeln!(out, "requested   {}", wanted.model.as_deref().unwrap_or("(no model)"))?;
    if ask.explain {
        steps(looked, out)?;
    }
    writeln!(out, "rule        {}   {}", matched.rule, matched.why)?;
    writeln!(out, "target      {}, which is no model so far: {error}", matched.model)?;
    Ok(out.flush()?)
}

fn steps(steps: &[Step], out: &mut impl Write) -> Result<(), Failure> {
    for (at, step) in steps.iter().enumerate() {
        let head = if at == 0 { "rules" } else { "" };
        let verdict = if step.matched { "MATCH" } else { "skip" };
        writeln!(out, "{head:<11} {} {:<12} {verdict:<6} {}", at + 1, step.rule, step.why)?;
    }
    Ok(())
}

fn json(wanted: &Ask, route: &Decided, out: &mut impl Write) -> Result<(), Failure> {
    let step = |step: &Step| json!({ "rule": step.rule, "matched": step.matched, "why": step.why });
    let line = json!({
        "requested": wanted.model.as_deref(),
        "rule": &*route.decision.rule,
        "why": &*route.decision.why,
        "upstream": &*route.target.upstream,
        "model": route.target.model.as_deref(),
        "fallbacks": route.fallbacks.iter().map(name).collect::<Vec<_>>(),
        "steps": route.steps.iter().map(step).collect::<Vec<_>>(),
    });
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn name(target: &Target) -> String {
    format!("{}/{}", target.upstream, target.model.as_deref().unwrap_or("*"))
}

/// A prompt becomes the request that a chat client would send; a file is one already.
fn asked(ask: &Route) -> Result<Asked, Failure> {
    let openai = Front::name(&Method::POST, "/v1/chat/completions", &HeaderMap::new());
    let Some(file) = &ask.file else {
        let content = ask.prompt.as_deref().unwrap_or_default();
        let body = json!({
            "model": ask.model, "messages": [{ "role": "user", "content": content }],
        });
        return Ok(Asked { front: openai, body: body.to_string().into_bytes() });
    };
    let body = std::fs::read(file)
        .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    let fields: serde_json::Value = serde_json::from_slice(&body)
        .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    // Only Ollama's generate has a prompt without messages in a body that people keep in files.
    let front = match fields.get("messages") {
        Some(_) => openai,
        None => Front::name(&Method::POST, "/api/generate", &HeaderMap::new()),
    };
    Ok(Asked { front, body })
}
