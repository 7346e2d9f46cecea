use super::*;
use std::fmt::Write as _;

const FIXTURE: &str = include_str!("../../tests/fixtures/intents.tsv");

struct Case {
    intent: Intent,
    prompt: String,
    held: bool,
}

fn cases() -> Vec<Case> {
    FIXTURE
        .lines()
        .map(|line| {
            let [label, prompt, part] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let intent = match label {
                "code" => Intent::Code,
                "short" => Intent::Short,
                "general" => Intent::General,
                other => panic!("unknown label {other}"),
            };
            assert!(matches!(part, "train" | "held"), "{line}");
            Case { intent, prompt: unescape(prompt), held: part == "held" }
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next().unwrap() {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                '\\' => out.push('\\'),
                other => panic!("unknown escape \\{other}"),
            },
            c => out.push(c),
        }
    }
    out
}

/// Reads a prompt as a client's single message would be.
fn read_alone(prompt: &str) -> Reading {
    read(prompt, prompt.chars().count().div_ceil(4), 1)
}

fn code(text: &str) -> bool {
    CodeIntent::shipped().is_code(text)
}

fn share((right, all): (u32, u32)) -> f64 {
    f64::from(right) / f64::from(all)
}

/// The rules were made looking at `train` alone. Fewer misses there are no reason to touch `held`.
#[test]
fn labelled_prompts_are_read_as_people_labelled_them() {
    let (mut train, mut held) = ((0, 0), (0, 0));
    let mut misses = String::new();
    for Case { intent, prompt, held: is_held } in cases() {
        let reading = read_alone(&prompt);
        let part = if is_held { &mut held } else { &mut train };
        part.0 += u32::from(reading.intent == intent);
        part.1 += 1;
        if reading.intent != intent {
            let (Reading { intent: got, why, score }, part) =
                (reading, if is_held { "held" } else { "train" });
            let start: String = prompt.chars().take(90).collect();
            writeln!(misses, "{part:5} {intent:?} read as {got:?} {score:.2} ({why}): {start:?}")
                .unwrap();
        }
    }
    let all = (train.0 + held.0, train.1 + held.1);
    let summary = format!("{misses}train {train:?} held {held:?} all {:.3}", share(all));
    eprintln!("{summary}");
    assert!(all.1 >= 200, "{summary}");
    assert!(share(all) >= 0.95, "{summary}");
    assert!(share(held) >= 0.90, "{summary}");
}

#[test]
fn everyday_words_that_look_like_code_are_not_code() {
    for text in [
        "import duties",
        "dress code",
        "class action",
        "area code",
        "function of the liver",
        "python in the zoo",
        "return policy",
        "Java island coffee",
        "go home",
        "rust on my car",
        "shell on the beach",
        "swift reply",
        "C major",
        "",
        " ",
        "\n\n",
        "?",
    ] {
        assert!(!code(text), "{text}: {:?}", CodeIntent::shipped().signals(text));
    }
}

#[test]
fn code_is_known_by_its_shape_or_by_what_is_asked() {
    for text in [
        "```\nx\n```",
        "Traceback (most recent call last):",
        "def f(x):",
        "SELECT a FROM b",
        "#include <stdio.h>",
        "fn main() {}",
        "npm install",
        "@@ -1,2 +1,2 @@",
        "fix this regex",
        "unit test for",
        "refactor",
        "SQL query",
        "bash script",
        "dockerfile",
        "segfault",
        "Write a Python function that merges two sorted lists",
        "Schreibe eine Python-Funktion, die zwei Listen mischt",
    ] {
        assert!(code(text), "{text}: {:?}", CodeIntent::shipped().signals(text));
    }
}

#[test]
fn line_ends_of_windows_hide_no_code() {
    assert!(code("Why?\r\n\r\n```\r\nx\r\n```\r\n"));
    assert!(code("import os\r\nimport re\r\nhow do I list files"));
}

#[test]
fn a_long_text_does_not_become_code_by_its_length() {
    let text = "The class was cancelled, the import failed, and a string of bugs in the method of return \
                left the object void. Software commits, an exception, a function, a script. ";
    let signals = CodeIntent::shipped().signals(&text.repeat(150));
    assert!(signals.score < THRESHOLD, "{signals:?}");
}

#[test]
fn code_is_found_at_both_ends_of_a_text_longer_than_what_is_read() {
    let filler = "Und dann fuhr er über die Brücke. ".repeat(3000);
    assert!(!code(&filler));
    assert!(code(&format!("Write a Python function.\n{filler}")));
    assert!(code(&format!("{filler}\nWrite a Python function.")));
    assert!(
        !code(&format!("{filler}\nWrite a Python function.\n{filler}")),
        "the middle is not read"
    );
}

#[test]
fn a_long_text_is_cut_between_characters() {
    for shift in 0..4 {
        assert!(!code(&format!("{}{}", "a".repeat(shift), "🦀é".repeat(9000))));
    }
}

#[test]
fn signals_are_named_the_surest_first_and_none_twice() {
    let text = "Traceback (most recent call last):\n  File \"a.py\", line 1\n```\nx()\n```";
    let Signals { score, why } = CodeIntent::shipped().signals(text);
    assert!((score - 1.0).abs() < f32::EPSILON);
    assert_eq!(why[..2], ["traceback", "fenced block"]);
    assert!(why.iter().enumerate().all(|(at, name)| !why[..at].contains(name)), "{why:?}");
}

#[test]
fn nothing_found_is_a_positive_zero() {
    let Signals { score, why } = CodeIntent::shipped().signals("hi");
    assert!(score.to_bits() == 0 && why.is_empty());
}

#[test]
fn the_reason_says_what_decided() {
    for (text, tokens, messages, intent, why) in [
        ("hi", 1, 1, Intent::Short, "about 1 token"),
        ("Prove that sqrt(2) is irrational", 9, 1, Intent::General, "asks for depth: prove"),
        ("hi", 61, 1, Intent::General, "about 61 tokens"),
        ("hi", 60, 7, Intent::General, "7 messages"),
        ("hi", 60, 6, Intent::Short, "about 60 tokens"),
        ("```\nx\n```", 4000, 50, Intent::Code, "fenced block"),
    ] {
        let reading = read(text, tokens, messages);
        assert_eq!((reading.intent, reading.why.as_str()), (intent, why), "{text}");
    }
}

#[test]
fn a_wish_for_brevity_outweighs_depth_but_not_a_proof() {
    assert_eq!(
        read_alone("Explain the pros and cons of nuclear power in one sentence").intent,
        Intent::Short
    );
    assert_eq!(read_alone("Prove in one sentence that 2 is prime").intent, Intent::General);
}

#[test]
fn a_command_asks_for_depth_where_the_same_word_inside_a_sentence_does_not() {
    assert_eq!(read_alone("Could you please compare tea and coffee?").intent, Intent::General);
    assert_eq!(read_alone("What phone plan do you like?").intent, Intent::Short);
}

#[test]
fn every_word_of_the_lexicon_can_be_found() {
    let lexicon = Lexicon::shipped();
    let phrases = PHRASES.iter().flat_map(|phrases| phrases.words.split('|'));
    for phrase in phrases.filter(|phrase| !phrase.trim().is_empty()) {
        let mut found = false;
        let words = lexicon.words(phrase);
        lexicon.phrases(&words, |_, at| found |= at == 0);
        assert!(found, "{phrase}");
    }
    for word in lexicon::CLASSES.iter().flat_map(|(_, words)| words.split_whitespace()) {
        let words = lexicon.words(word);
        assert!(words.len() == 1 && words[0].classes != 0, "{word}");
    }
}
