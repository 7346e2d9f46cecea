//! One cell: what a pair makes of a feature, held against what it should.

use crate::{feature::Feature, json::Json, normal, speakers::Speaker};
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;
use unigate::{
    dialect::{Operation, Reply},
    translate::{Aim, Pair, complete},
};

const NOW: u64 = 1_785_000_002_000;

/// What the page says of a pair and a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// It arrives.
    Good,
    /// It arrives, though not as it was said: how.
    Otherwise(String),
    /// It does not, or otherwise, for this reason.
    Note(String),
}

/// A pair on its way through one feature.
#[derive(Clone, Copy)]
struct Way<'a> {
    feature: &'a Feature,
    client: &'a Speaker,
    upstream: &'a Speaker,
    streamed: bool,
    pair: Pair,
}

/// Translates what the files say, and compares.
///
/// The error says what differs, or which file or reason is missing.
pub(crate) fn check(
    feature: &Feature,
    client: &Speaker,
    upstream: &Speaker,
    streamed: bool,
) -> Result<Cell, String> {
    let pair =
        Pair { client: client.dialect, upstream: upstream.dialect, operation: feature.operation() };
    let way = Way { feature, client, upstream, streamed, pair };
    let streams = if streamed { "streamed" } else { "whole" };
    way.check().map_err(|what| {
        format!("{}, {} to {}, {streams}: {what}", feature.name, client.name, upstream.name)
    })
}

impl Way<'_> {
    fn check(self) -> Result<Cell, String> {
        if self.streamed && !self.feature.streamed {
            return note("–: it is never streamed");
        }
        if let Some(why) = self.feature.asks(self.client) {
            return note(&format!("–: {why}"));
        }
        let mut asked = Cell::Good;
        let mut reply = self.reply();
        if self.feature.has("request") {
            asked = self.request(&mut reply)?;
            if matches!(asked, Cell::Note(_)) {
                return Ok(asked);
            }
        }
        for kind in ["error", "models"] {
            if self.feature.has(kind) {
                return self.other(kind);
            }
        }
        let kind = if self.streamed || self.feature.fails { "stream" } else { "answer" };
        Ok(match self.answer(kind, &reply)? {
            Cell::Good => asked,
            otherwise => otherwise,
        })
    }

    fn request(self, reply: &mut Reply) -> Result<Cell, String> {
        let missing = || format!("no request.{0}.json, and no {0}.asks", self.client.name);
        let request = self.feature.said("request", self.client).ok_or_else(missing)?;
        let body = Bytes::from(self.wish(&request));
        let aim = Aim { quirks: self.upstream.quirks(), ..Aim::default() };
        let outgoing = self.pair.request(&body, &aim);
        if self.client.is(self.upstream) {
            let outgoing = outgoing.map_err(|error| error.to_string())?;
            return match outgoing.body == body {
                true => Ok(Cell::Good),
                false => Err("the same dialect, and yet other bytes".into()),
            };
        }
        let asked = self.feature.asked(self.client, self.upstream);
        let outgoing = match (outgoing, asked.and_then(|asked| asked.refused.as_deref())) {
            (Ok(outgoing), None) => outgoing,
            (Ok(outgoing), Some(_)) => {
                let body = String::from_utf8_lossy(&outgoing.body).into_owned();
                return Err(format!("should have been refused: {body}"));
            }
            (Err(error), Some(words)) => {
                let said = error.to_string();
                let right = error.status() == StatusCode::BAD_REQUEST && said.contains(words);
                let why = asked.map(|asked| &*asked.why).unwrap_or_default();
                return if right { note(&format!("400: {why}")) } else { Err(said) };
            }
            (Err(error), None) => return Err(error.to_string()),
        };
        reply.calls_as_text = outgoing.calls_as_text;
        let mut dropped = outgoing.dropped.clone();
        dropped.sort_unstable();
        let mut named = asked.map(|asked| asked.dropped.clone()).unwrap_or_default();
        named.sort_unstable();
        if dropped != named {
            return Err(format!("dropped {dropped:?}, should have dropped {named:?}"));
        }
        let missing = || format!("no request.{0}.json, and none to-{0}", self.upstream.name);
        let expected = self.feature.becomes("request", self.client, self.upstream);
        let mut expected = Json::read(&expected.ok_or_else(missing)?)?;
        if self.feature.operation() != Operation::Embed {
            self.upstream.told(self.client, &mut expected, self.streamed);
        }
        let got = Json::read(&outgoing.body)?;
        (self.upstream.request)(got).is(&(self.upstream.request)(expected))?;
        match asked {
            None => Ok(Cell::Good),
            Some(asked) if named.is_empty() => Ok(Cell::Otherwise(asked.why.clone())),
            Some(asked) => note(&format!("dropped: {}; {}", named.join(", "), asked.why)),
        }
    }

    fn wish(self, request: &[u8]) -> Vec<u8> {
        match self.feature.operation() {
            Operation::Embed => request.to_vec(),
            _ => self.client.wish(request, self.streamed),
        }
    }

    /// What an answer is to say of itself, by a request of this feature where there is one.
    fn reply(self) -> Reply {
        let plain = b"{\"model\":\"m\"}".to_vec();
        let request = self.feature.said("request", self.client).unwrap_or(plain);
        let id = "0123456789abcdef01234567".into();
        self.pair.reply(&self.wish(&request), id, NOW - 2000, "m".into())
    }

    fn answer(self, kind: &'static str, reply: &Reply) -> Result<Cell, String> {
        if !self.feature.has(kind) {
            return if self.feature.has("request") {
                Ok(Cell::Good)
            } else if self.feature.has("stream") {
                note("–: it happens in streams only")
            } else {
                Err("there is nothing to compare".into())
            };
        }
        let Some(body) = self.feature.said(kind, self.upstream) else {
            let missing = || format!("no {kind}.{0}, and no {0}.answers", self.upstream.name);
            let why = self.feature.answers(self.upstream).ok_or_else(missing)?;
            return match self.feature.has("request") {
                true => Ok(Cell::Good),
                false => note(&format!("–: {why}")),
            };
        };
        let got = match (kind, self.feature.fails) {
            ("stream", fails) => self.stream(&body, reply, fails)?,
            _ => self.whole(&body, reply)?,
        };
        if self.client.is(self.upstream) {
            return match got == body || self.feature.fails && got.starts_with(&body) {
                true => Ok(Cell::Good),
                false => Err("the same dialect, and yet other bytes".into()),
            };
        }
        let missing = || format!("no {kind}.{0}, and none to-{0}", self.client.name);
        let expected = self.feature.becomes(kind, self.upstream, self.client);
        let expected = expected.ok_or_else(missing)?;
        self.read(kind, &got)?.is(&self.read(kind, &expected)?)?;
        match self.feature.answered(self.upstream, self.client) {
            None => Ok(Cell::Good),
            Some(why) => note(why),
        }
    }

    fn read(self, kind: &str, body: &[u8]) -> Result<Json, String> {
        if kind == "answer" {
            return (self.client.whole)(Json::read(body)?);
        }
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        (self.client.steps)(text).map_err(|error| format!("{error}\nin\n{text}"))
    }

    fn whole(self, body: &[u8], reply: &Reply) -> Result<Vec<u8>, String> {
        let (upstream, body): (Arc<str>, _) = ("up".into(), Bytes::copy_from_slice(body));
        let answer = self.pair.answer(&upstream, &body, reply, NOW);
        let (out, state) = answer.map_err(|error| error.to_string())?;
        match state.finished {
            true => Ok(out.to_vec()),
            false => Err("the answer is not complete".into()),
        }
    }

    fn stream(self, body: &[u8], reply: &Reply, fails: bool) -> Result<Vec<u8>, String> {
        let mut flow = self.pair.flow(reply, false);
        let mut out = flow.feed(Bytes::copy_from_slice(body), NOW).to_vec();
        out.extend_from_slice(&flow.end(&"up".into(), NOW));
        let state = flow.state();
        let whole = state.finished && state.fault.is_none() && state.finish.is_some();
        if whole == fails {
            return Err(format!("it ended as {state:?}"));
        }
        // The client's own reader agrees.
        let kept = complete(self.client.dialect, self.feature.operation(), true, &out);
        match kept.is_some() == whole {
            true => Ok(out),
            false => Err(format!("read again: {kept:?}, {}", String::from_utf8_lossy(&out))),
        }
    }

    /// A refusal, or a list of models.
    fn other(self, kind: &str) -> Result<Cell, String> {
        let Some(body) = self.feature.said(kind, self.upstream) else {
            let missing = || format!("no {kind}.{0}.json, and no {0}.answers", self.upstream.name);
            let why = self.feature.answers(self.upstream).ok_or_else(missing)?;
            return note(&format!("–: {why}"));
        };
        let got = if kind == "error" {
            let (status, told) = self.feature.statuses(self.upstream);
            let status = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
            let (seen, got) = self.pair.error(status, &body);
            let same = self.client.is(self.upstream);
            if seen.as_u16() != if same { status.as_u16() } else { told } {
                return Err(format!("{status} became {seen}"));
            }
            got
        } else {
            // A list is made of what all upstreams have, and passes to nobody as it came.
            let models = self.upstream.dialect.read_models(&body)?;
            self.client.dialect.write_models(&models)
        };
        if self.client.is(self.upstream) && kind == "error" {
            return if got == body { Ok(Cell::Good) } else { Err("other bytes".into()) };
        }
        let missing = || format!("no {kind}.{0}.json, and none to-{0}", self.client.name);
        let expected = self.feature.becomes(kind, self.upstream, self.client);
        let expected = Json::read(&expected.ok_or_else(missing)?)?;
        let normal =
            |body| if kind == "error" { normal::error(body) } else { normal::models(body) };
        normal(Json::read(&got)?).is(&normal(expected))?;
        Ok(Cell::Good)
    }
}

fn note(why: &str) -> Result<Cell, String> {
    Ok(Cell::Note(why.to_owned()))
}
