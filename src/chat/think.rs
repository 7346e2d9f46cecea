//! Whether to think first, and how hard.

/// Whether to think first, and how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Think {
    /// Not at all.
    Off,
    /// As the model sees fit.
    On,
    /// So hard.
    Effort(Effort),
    /// For at most so many tokens (Anthropic's `budget_tokens`).
    Budget(u64),
}

/// How hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "ordinary words, in their order")]
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    /// The word for it, which OpenAI's and Anthropic's dialects share.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// What this word means; `ultra` is the most there is. `None` for any other.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" | "ultra" => Self::Max,
            _ => return None,
        })
    }
}

impl Think {
    /// How hard this is, where a dialect knows only efforts; `None` for not at all.
    ///
    /// [`Think::On`] is medium, as Ollama reads it; a budget is an effort by its size: below 4,096 tokens low, below
    /// 16,384 medium, from there on high.
    pub fn effort(self) -> Option<Effort> {
        match self {
            Self::Off => None,
            Self::Effort(effort) => Some(effort),
            Self::Budget(..4096) => Some(Effort::Low),
            Self::On | Self::Budget(..16384) => Some(Effort::Medium),
            Self::Budget(_) => Some(Effort::High),
        }
    }
}
