//! Lets through what this upstream and its model take, and names what they do not.

use super::shape::{Common, Reasoning, StreamOptions, Template, Thinking, Typed};
use crate::{
    chat::{Number, Request, Think},
    dialect::{
        Quirks, StreamUsage,
        quirks::{Model, Place, Switch},
    },
};

/// Lets through what this upstream and its model take, and names what they do not.
pub(super) struct Sieve {
    pub(super) quirks: Quirks,
    model: Option<&'static Model>,
    /// What was left out so far.
    pub(super) dropped: Vec<&'static str>,
}

impl Sieve {
    pub(super) fn new(request: &Request, quirks: Quirks) -> Self {
        let model = quirks.model(&request.model);
        Self { quirks, model, dropped: request.dropped.clone() }
    }

    fn refuses(&self, field: &str) -> bool {
        let also = self.model.map_or(&[][..], |model| model.refuses);
        self.quirks.refuses.contains(&field) || also.contains(&field)
    }

    /// This field of OpenAI's, unless it is refused.
    pub(super) fn keep<T>(&mut self, field: &'static str, value: Option<T>) -> Option<T> {
        let kept = value.is_none() || !self.refuses(field);
        if !kept {
            self.dropped.push(field);
        }
        value.filter(|_| kept)
    }

    /// The same, where nothing is lost of a value that is the default.
    pub(super) fn unless<T>(
        &mut self,
        default: impl FnOnce(&T) -> bool,
        field: &'static str,
        value: Option<T>,
    ) -> Option<T> {
        let value = value?;
        if self.refuses(field) && default(&value) {
            return None;
        }
        self.keep(field, Some(value))
    }

    /// A field beyond OpenAI's, where it is understood.
    fn extra<'a>(&self, field: &str, value: Option<&'a Number>) -> Option<&'a Number> {
        value.filter(|_| self.quirks.takes.contains(&field))
    }

    pub(super) fn thinking(&mut self, think: Option<Think>) -> Thinking {
        let Some(think) = think else { return Thinking::default() };
        let how = self.model.map_or(self.quirks.thinking, |model| model.thinking);
        let Some(told) = how.tell(think) else {
            self.dropped.push("think");
            return Thinking::default();
        };
        let effort = |place| told.effort.filter(|_| how.place == place);
        let on = |switch| told.on.filter(|_| how.switch == switch);
        let (nested, enabled) = (effort(Place::Nested), on(Switch::Enabled));
        let (template, enable) = (effort(Place::Template), on(Switch::Template));
        // The word that turns thinking off goes where the efforts go.
        Thinking {
            reasoning_effort: effort(Place::Plain),
            reasoning: (nested.is_some() || enabled.is_some())
                .then_some(Reasoning { effort: nested, enabled }),
            thinking: on(Switch::Typed)
                .map(|on| Typed { r#type: if on { "enabled" } else { "disabled" } }),
            chat_template_kwargs: (template.is_some() || enable.is_some())
                .then_some(Template { enable_thinking: enable, reasoning_effort: template }),
        }
    }

    pub(super) fn common<'a>(&mut self, request: &'a Request, chat: bool) -> Common<'a> {
        let sampling = &request.sampling;
        let is = |wanted: f64| move |number: &&Number| number.value() == wanted;
        let (top_k, min_p) = (sampling.top_k.as_ref(), sampling.min_p.as_ref());
        let repeat = sampling.repeat_penalty.as_ref();
        let named = ["repetition_penalty", "repeat_penalty"];
        for (name, there, known) in [
            ("top_k", top_k.is_some(), self.extra("top_k", top_k).is_some()),
            ("min_p", min_p.is_some(), self.extra("min_p", min_p).is_some()),
            (
                "repeat_penalty",
                repeat.is_some(),
                named.iter().any(|name| self.extra(name, repeat).is_some()),
            ),
        ] {
            if there && !known {
                self.dropped.push(name);
            }
        }
        // Completions know only the older name of the limit.
        let newer = self.quirks.max_completion_tokens && chat;
        let limit = sampling.max_tokens.as_ref();
        let seed = self.keep("seed", sampling.seed.as_ref());
        let asks = request.stream && self.quirks.usage != StreamUsage::Unasked;
        let stop = Some(&*sampling.stop).filter(|stop| !stop.is_empty());
        let temperature = self.unless(is(1.0), "temperature", sampling.temperature.as_ref());
        Common {
            stream: request.stream,
            stream_options: asks.then_some(StreamOptions { include_usage: true }),
            max_completion_tokens: limit.filter(|_| newer),
            max_tokens: limit.filter(|_| !newer),
            temperature: temperature.cloned().map(|number| self.cooled(number)),
            top_p: self.unless(is(1.0), "top_p", sampling.top_p.as_ref()),
            top_k: self.extra("top_k", top_k),
            min_p: self.extra("min_p", min_p),
            repetition_penalty: self.extra("repetition_penalty", repeat),
            repeat_penalty: self.extra("repeat_penalty", repeat),
            frequency_penalty: self.unless(
                is(0.0),
                "frequency_penalty",
                sampling.frequency_penalty.as_ref(),
            ),
            presence_penalty: self.unless(
                is(0.0),
                "presence_penalty",
                sampling.presence_penalty.as_ref(),
            ),
            seed: seed.filter(|_| !self.quirks.random_seed),
            random_seed: seed.filter(|_| self.quirks.random_seed),
            stop: self.keep("stop", stop).unwrap_or_default(),
        }
    }

    /// Ollama takes temperatures that others refuse.
    fn cooled(&self, temperature: Number) -> Number {
        let most = match self.quirks.max_temperature_tenths {
            0 => 2.0,
            tenths => f64::from(tenths) / 10.0,
        };
        if temperature.value() <= most {
            return temperature;
        }
        Number::literal(&most.to_string()).unwrap_or(temperature)
    }
}
