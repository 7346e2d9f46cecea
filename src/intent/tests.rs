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

#[test]
fn dbg_accuracy() {
    let show_held = std::env::var_os("HELD").is_some();
    let mut t = [[0, 0]; 2];
    let mut out = String::new();
    for c in cases() {
        let r = read(&c.prompt, c.prompt.chars().count().div_ceil(4), 1);
        let ok = r.intent == c.intent;
        t[c.held as usize][ok as usize] += 1;
        if !ok && (!c.held || show_held) {
            writeln!(
                out,
                "{:?}->{:?} {:.2} [{}] {:?}",
                c.intent,
                r.intent,
                r.score,
                r.why,
                c.prompt.chars().take(160).collect::<String>()
            )
            .unwrap();
        }
    }
    eprintln!("{out}\ntrain {:?} held {:?}", t[0], t[1]);
}
