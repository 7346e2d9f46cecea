//! What is known of what an upstream has in memory, and for how long that is good.

use crate::dialect::ollama::{InMemory, Making};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// What is known; told the time by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    models: HashMap<Arc<str>, Known>,
    /// When it was asked last, and whether there was an answer.
    asked: Option<(Instant, bool)>,
    /// Loads that came to nothing, by their key.
    failed: HashMap<Arc<str>, Instant>,
    /// Names that were listed at any time; what is not among them may be something that this upstream does not list.
    ever: HashSet<Arc<str>>,
}

/// A model in memory.
#[derive(Clone, Debug)]
struct Known {
    /// The keys that it serves as it was loaded; empty where somebody else loaded it.
    keys: Vec<Arc<str>>,
    context: Option<u64>,
    seen: Instant,
    /// Whether it was in the last list.
    listed: bool,
    /// When it goes, where that is known.
    until: Option<Instant>,
}

/// A model as it was loaded before.
#[derive(Clone, Debug)]
pub(super) struct Former {
    keys: Vec<Arc<str>>,
    context: Option<u64>,
}

/// What a list says of who fits beside whom, by their keys.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Pairs that cannot be in memory together, as it seems.
    pub(super) apart: Vec<(Arc<str>, Arc<str>)>,
    /// All that is in memory now.
    pub(super) together: Vec<Arc<str>>,
}

/// How long an answer says that a model is in memory: others may put it out, and `keep_alive` may be short.
const FRESH: Duration = Duration::from_secs(10);

/// How long a list is good for what is not in it.
const RECENT: Duration = Duration::from_secs(1);

/// How long a load that failed is left to the requests themselves, and an upstream that does not list is not asked again.
const FAILED: Duration = Duration::from_secs(30);

/// How old a list may be while several models are asked in turn: whether they fit is to be found out soon.
const TURNS: Duration = Duration::from_secs(2);

/// Ways of loading one model that are remembered as the same, and failures that are remembered.
const MOST: usize = 64;

impl Memory {
    /// Whether it is in memory as it is wanted, as far as is known.
    pub(super) fn has(&self, making: &Making, now: Instant) -> bool {
        let Some(known) = self.models.get(&making.name) else { return false };
        if now.saturating_duration_since(known.seen) > FRESH
            || known.until.is_some_and(|until| until <= now)
        {
            return false;
        }
        let unasked = known.keys.is_empty() && making.key == making.name;
        let as_wide = making.context.is_some() && making.context == known.context;
        known.keys.contains(&making.key) || unasked || as_wide
    }

    /// Whether it is time to ask again.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.asked.is_none_or(|(at, answered)| {
            now.saturating_duration_since(at) > if answered { RECENT } else { FAILED }
        })
    }

    /// Whether a load of the gateway's own can be of use: not where nothing is known, and not right after one that failed.
    pub(super) fn is_worth_loading(&self, making: &Making, now: Instant) -> bool {
        let failed = self.failed.get(&making.key);
        let failed = failed.is_some_and(|at| now.saturating_duration_since(*at) < FAILED);
        !failed && self.asked.is_some_and(|(_, answered)| answered)
    }

    /// It was loaded or has answered.
    pub(super) fn used(&mut self, making: &Making, now: Instant) {
        self.failed.remove(&making.key);
        let known = self.models.entry(making.name.clone()).or_insert_with(|| Known {
            keys: Vec::new(),
            context: making.context,
            seen: now,
            listed: false,
            until: None,
        });
        // Each use begins its time anew; how long that is now, nobody has said.
        (known.seen, known.until) = (now, None);
        if !known.keys.contains(&making.key) && known.keys.len() < MOST {
            known.keys.push(making.key.clone());
        }
    }

    pub(super) fn forget(&mut self, name: &Arc<str>) {
        self.models.remove(name);
    }

    pub(super) fn forget_key(&mut self, key: &Arc<str>) {
        self.models.retain(|name, known| name != key && !known.keys.contains(key));
    }

    pub(super) fn failed(&mut self, making: &Making, now: Instant) {
        self.failed.retain(|_, at| now.saturating_duration_since(*at) < FAILED);
        if self.failed.len() < MOST {
            self.failed.insert(making.key.clone(), now);
        }
    }

    /// Takes a list, or that there was none.
    ///
    /// What has left before its time had to make way: for what is there now and was not there beside it, or for what has left in
    /// the same manner, where both are there by turns.
    pub(super) fn saw(&mut self, listed: Option<Vec<InMemory>>, now: Instant, unix_s: u64) -> Seen {
        self.asked = Some((now, listed.is_some()));
        let Some(listed) = listed else { return Seen::default() };
        let mut before = std::mem::take(&mut self.models);
        // Their keys, and whether each was listed the last time.
        let mut there = Vec::new();
        for model in listed {
            // A time in the past is that of a model that is being loaded.
            let until = model.until.filter(|until| *until > unix_s);
            let until = until
                .and_then(|until| now.checked_add(Duration::from_secs((until - unix_s).min(YEAR))));
            let known = before.remove(&model.name);
            let beside = known.as_ref().is_some_and(|known| known.listed);
            let keys = match known {
                Some(known) if known.context == model.context || known.context.is_none() => {
                    known.keys
                }
                _ => Vec::new(),
            };
            there.push((keys_of(&model.name, &keys), beside));
            if self.ever.len() < MOST {
                self.ever.insert(model.name.clone());
            }
            let known = Known { keys, context: model.context, seen: now, listed: true, until };
            self.models.insert(model.name, known);
        }
        let early = before.into_iter().filter(|(name, known)| {
            self.ever.contains(name) && known.until.is_none_or(|until| until > now + RECENT)
        });
        let gone: Vec<_> =
            early.map(|(name, known)| (keys_of(&name, &known.keys), known.listed)).collect();
        let mut seen = Seen::default();
        for (at, (ones, beside)) in gone.iter().enumerate() {
            let others = there.iter().chain(&gone[at + 1..]);
            for (others, _) in others.filter(|(_, also)| !(*beside && *also)) {
                let pairs =
                    ones.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
                seen.apart.extend(pairs.map(|(one, other)| (one.clone(), other.clone())));
            }
        }
        seen.together = there.into_iter().flat_map(|(keys, _)| keys).collect();
        seen
    }

    /// Whether several models are asked by turns and it is time to see whether they fit.
    pub(super) fn takes_turns(&self, now: Instant) -> bool {
        let is_used = |known: &&Known| now.saturating_duration_since(known.seen) <= FRESH;
        self.asked
            .is_some_and(|(at, answered)| answered && now.saturating_duration_since(at) > TURNS)
            && self.models.values().filter(is_used).count() > 1
    }

    /// How this model is loaded now; `None` where it is not in memory.
    pub(super) fn making_of(&self, name: &Arc<str>) -> Option<Former> {
        let known = self.models.get(name)?;
        Some(Former { keys: known.keys.clone(), context: known.context })
    }

    /// A load has ended well and a list was taken. Gives the key of the same model, loaded in another way, that it took
    /// the place of.
    pub(super) fn settle(
        &mut self,
        making: &Making,
        before: Option<Former>,
        now: Instant,
    ) -> Option<Arc<str>> {
        let Some(known) = self.models.get_mut(&making.name) else {
            if !self.ever.contains(&making.name) {
                // It says that it loads, and does not list it: no use in loading for it.
                self.failed(making, now);
            }
            return None;
        };
        let mut replaced = None;
        if let Some(before) = before {
            if before.context.is_some() && before.context != known.context {
                replaced = before.keys.into_iter().find(|key| *key != making.key);
                known.keys.clear();
            } else if known.keys.is_empty() {
                known.keys = before.keys;
            }
        }
        if !known.keys.contains(&making.key) {
            known.keys.push(making.key.clone());
        }
        replaced
    }
}

/// The keys that requests for it have, as far as they are known.
fn keys_of(name: &Arc<str>, keys: &[Arc<str>]) -> Vec<Arc<str>> {
    if keys.is_empty() { vec![name.clone()] } else { keys.to_vec() }
}

/// Far enough for "for ever", and near enough for every clock.
const YEAR: u64 = 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Operation;

    fn making(name: &str, options: &str) -> Making {
        let body = format!(r#"{{"model":"{name}","options":{{{options}}}}}"#);
        Making::of(Operation::Chat, name, body.as_bytes())
    }

    fn listed(names: &[&str]) -> Option<Vec<InMemory>> {
        let one = |name: &&str| InMemory { name: (*name).into(), context: Some(4096), until: None };
        Some(names.iter().map(one).collect())
    }

    #[test]
    fn what_has_answered_is_known_for_a_while() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let m = making("m", "");
        assert!(!memory.has(&m, now));
        memory.used(&m, now);
        assert!(memory.has(&m, now) && memory.has(&m, now + Duration::from_secs(9)));
        assert!(!memory.has(&m, now + Duration::from_secs(11)));
        memory.forget(&m.name);
        assert!(!memory.has(&m, now));
    }

    #[test]
    fn a_list_says_what_is_there_until_when_and_what_has_left_early() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let (a, b) = (making("a", ""), making("b", ""));
        memory.saw(listed(&["a"]), now, 1000);
        memory.used(&a, now);
        let seen = memory.saw(listed(&["b"]), now, 1000);
        assert_eq!(seen.apart, [(a.key.clone(), b.key.clone())]);
        assert_eq!(seen.together, std::slice::from_ref(&b.key));
        assert!(!memory.has(&a, now) && memory.has(&b, now));
        let soon = InMemory { name: "b".into(), context: None, until: Some(1005) };
        memory.saw(Some(vec![soon]), now, 1000);
        assert!(memory.has(&b, now) && !memory.has(&b, now + Duration::from_secs(6)));
        let later = now + Duration::from_secs(6);
        assert!(memory.saw(listed(&[]), later, 1006).apart.is_empty(), "its time was over");
    }

    #[test]
    fn what_was_seen_together_is_not_blamed_for_what_left() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.saw(listed(&["a", "small"]), now, 1000);
        let seen = memory.saw(listed(&["b", "small"]), now, 1000);
        assert_eq!(seen.apart, [("a".into(), "b".into())]);
        let names: Vec<&str> = seen.together.iter().map(|key| &**key).collect();
        assert_eq!(names, ["b", "small"]);
    }

    #[test]
    fn models_that_are_there_by_turns_are_found_out_though_none_is_ever_seen_to_go() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.saw(listed(&["a"]), now, 1000);
        memory.saw(listed(&["b"]), now, 1000);
        memory.used(&making("a", ""), now);
        memory.used(&making("b", ""), now);
        assert!(!memory.takes_turns(now));
        assert!(memory.takes_turns(now + Duration::from_secs(3)));
        let seen = memory.saw(listed(&[]), now, 1000);
        assert_eq!(seen.apart.len(), 1, "{seen:?}");
    }

    #[test]
    fn who_lists_nothing_at_all_is_not_taken_for_crowded() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.used(&making("a", ""), now);
        memory.used(&making("b", ""), now);
        assert_eq!(memory.saw(listed(&[]), now, 1000), Seen::default());
    }

    #[test]
    fn another_context_is_another_load_and_the_same_is_not() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.saw(listed(&["m"]), now, 1000);
        assert!(memory.has(&making("m", ""), now));
        assert!(memory.has(&making("m", r#""num_ctx":4096"#), now));
        assert!(!memory.has(&making("m", r#""num_ctx":8192"#), now));
    }

    #[test]
    fn what_took_the_place_of_its_own_model_is_its_rival() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let (plain, wide) = (making("m", ""), making("m", r#""num_ctx":8192"#));
        memory.used(&plain, now);
        memory.saw(listed(&["m"]), now, 1000);
        let before = memory.making_of(&plain.name);
        memory.used(&wide, now);
        let now_wide = InMemory { name: "m".into(), context: Some(8192), until: None };
        memory.saw(Some(vec![now_wide]), now, 1000);
        assert_eq!(memory.settle(&wide, before, now), Some(plain.key.clone()));
        assert!(memory.has(&wide, now) && !memory.has(&plain, now));
    }

    #[test]
    fn what_does_not_list_is_left_alone() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let m = making("m", "");
        assert!(memory.is_old(now));
        memory.saw(None, now, 1000);
        assert!(!memory.is_old(now + Duration::from_secs(5)));
        assert!(!memory.is_worth_loading(&m, now));
        memory.saw(listed(&[]), now, 1000);
        assert!(memory.is_worth_loading(&m, now));
        memory.failed(&m, now);
        assert!(!memory.is_worth_loading(&m, now));
        assert!(memory.is_worth_loading(&m, now + Duration::from_secs(31)));
    }
}
