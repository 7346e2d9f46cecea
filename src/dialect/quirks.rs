//! What one upstream does differently from others of its dialect: data, not code.

use crate::chat::{Effort, Think};

/// What one upstream does differently from others of its dialect. The default is what all who speak like OpenAI share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// The token limit goes out as `max_completion_tokens`, not `max_tokens`.
    pub max_completion_tokens: bool,
    /// Whether usage must be asked for to come with a stream.
    pub usage: StreamUsage,
    /// Fields beyond OpenAI's that are understood: `top_k`, `min_p`, and `repetition_penalty` or `repeat_penalty`.
    pub takes: &'static [&'static str],
    /// Fields of OpenAI's that are refused or do nothing; they are left out, and named to the client.
    pub refuses: &'static [&'static str],
    /// How it is told to think.
    pub thinking: Thinking,
    /// Under which name the reasoning of earlier turns goes back.
    pub history: History,
    /// What it can be told about the form of an answer.
    pub formats: Formats,
    /// A seed goes out as `random_seed`.
    pub random_seed: bool,
    /// The highest temperature, in tenths; 0 is OpenAI's own, which is 2.
    pub max_temperature_tenths: u16,
    /// Ids of calls are nine letters or digits; others are rewritten, the same everywhere.
    pub short_ids: bool,
    /// `tool_choice` is a word only: a function that must be called is offered alone, and `required`.
    pub choice_is_a_word: bool,
    /// What stands for the seal on the calls of earlier turns, which it wants back and no other dialect keeps.
    pub call_seal: Option<&'static str>,
    /// Tokens of an answer where the client names no limit and the upstream wants one; 0 is 8,192.
    pub answer_tokens: u64,
    /// Anthropic's: thinking is asked for by effort alone, and a budget for it is refused.
    pub adaptive_thinking: bool,
    /// Models that differ from the rest; the first that fits counts.
    pub models: &'static [Model],
}

/// Whether usage must be asked for to come with a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// Not known: it is asked for, and no more once that was refused.
    #[default]
    Tried,
    /// With `stream_options.include_usage`.
    Asked,
    /// It comes anyway; who asks may be refused.
    Unasked,
}

/// A family of models that differs from others of its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// How their names begin, behind the last `/`.
    pub prefix: &'static str,
    /// How they are told to think, in place of [`Quirks::thinking`].
    pub thinking: Thinking,
    /// What they refuse besides [`Quirks::refuses`].
    pub refuses: &'static [&'static str],
}

/// How an upstream is told whether to think, and how hard. By default it cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// The efforts that it knows, from the least; empty where it knows none.
    pub efforts: &'static [Effort],
    /// Where the effort goes.
    pub place: Place,
    /// How it is told to think at all.
    pub switch: Switch,
}

/// Where the effort goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// `reasoning_effort`.
    #[default]
    Plain,
    /// `reasoning.effort`.
    Nested,
    /// `chat_template_kwargs.reasoning_effort`.
    Template,
}

/// How an upstream is told to think at all, or not to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// It cannot be told not to; an effort is enough to make it.
    #[default]
    Nothing,
    /// The effort `none` turns it off.
    Effort,
    /// `thinking.type`, `enabled` or `disabled`.
    Typed,
    /// `reasoning.enabled`.
    Enabled,
    /// `chat_template_kwargs.enable_thinking`.
    Template,
}

/// Under which name the reasoning of earlier turns goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// It does not.
    #[default]
    Never,
    /// `reasoning`.
    Reasoning,
    /// `reasoning_content`.
    ReasoningContent,
    /// `reasoning_details` where it is sealed, else `reasoning`.
    Details,
}

/// What an upstream can be told about the form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Formats {
    /// Any JSON object, and JSON that fits a schema.
    #[default]
    All,
    /// Any JSON object; a schema is left out, and named to the client.
    Object,
    /// JSON that fits a schema; any object is one that fits the schema of all objects.
    Schema,
}

/// What an upstream hears about thinking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The effort, to go to its place.
    pub(super) effort: Option<&'static str>,
    /// On or off, by the switch.
    pub(super) on: Option<bool>,
}

// === impl Quirks ===

impl Quirks {
    /// What is known of this model.
    pub fn model(&self, name: &str) -> Option<&'static Model> {
        let name = name.rsplit('/').next().unwrap_or(name);
        self.models.iter().find(|model| name.starts_with(model.prefix))
    }
}

// === impl Thinking ===

impl Thinking {
    /// What to tell; `None` where it cannot be told.
    ///
    /// An effort that is not known becomes the nearest one; of two equally near ones the lower, which costs less.
    pub(super) fn tell(&self, think: Think) -> Option<Told> {
        let switched = !matches!(self.switch, Switch::Nothing | Switch::Effort);
        let Some(wanted) = think.effort() else {
            return match self.switch {
                Switch::Nothing => None,
                Switch::Effort => Some(Told { effort: Some("none"), on: None }),
                Switch::Typed | Switch::Enabled | Switch::Template => {
                    Some(Told { effort: None, on: Some(false) })
                }
            };
        };
        let far = |effort: &&Effort| (**effort as u8).abs_diff(wanted as u8);
        let effort = self.efforts.iter().min_by_key(far).map(|effort| effort.as_str());
        // Who can be told only not to think does so otherwise.
        let heard = effort.is_some() || self.switch != Switch::Nothing;
        heard.then(|| Told { effort, on: switched.then_some(true) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_that_is_not_known_becomes_the_nearest() {
        let thinking = Thinking { efforts: &[Effort::Low, Effort::High], ..Thinking::default() };
        let effort = |think| thinking.tell(think).and_then(|told| told.effort);
        assert_eq!(effort(Think::Effort(Effort::Minimal)), Some("low"));
        assert_eq!(effort(Think::On), Some("low"));
        assert_eq!(effort(Think::Effort(Effort::Max)), Some("high"));
        assert_eq!(thinking.tell(Think::Off), None, "it has no way to say so");
    }

    #[test]
    fn a_switch_is_told_beside_the_effort() {
        let switch = |switch| Thinking { efforts: &[Effort::High], switch, ..Thinking::default() };
        let told = |effort, on| Some(Told { effort, on });
        assert_eq!(switch(Switch::Effort).tell(Think::Off), told(Some("none"), None));
        assert_eq!(switch(Switch::Effort).tell(Think::On), told(Some("high"), None));
        assert_eq!(switch(Switch::Typed).tell(Think::Off), told(None, Some(false)));
        assert_eq!(switch(Switch::Typed).tell(Think::On), told(Some("high"), Some(true)));
        let only_off = Thinking { switch: Switch::Effort, ..Thinking::default() };
        assert_eq!(only_off.tell(Think::On), told(None, None));
        assert_eq!(Thinking::default().tell(Think::On), None);
    }
}
