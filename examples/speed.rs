use std::time::Instant;
fn time(name: &str, text: &str) {
    let c = unigate::intent::CodeIntent::shipped();
    let t = Instant::now();
    c.signals(text);
    let first = t.elapsed();
    let n = (4_000_000 / text.len()).clamp(20, 20000);
    let t = Instant::now();
    let mut s = 0.0;
    for _ in 0..n {
        s += c.signals(std::hint::black_box(text)).score;
    }
    let e = t.elapsed() / n as u32;
    let t = Instant::now();
    for _ in 0..n {
        std::hint::black_box(unigate::intent::read(std::hint::black_box(text), 10, 1));
    }
    let r = t.elapsed() / n as u32;
    println!(
        "{name:20} {:6} B first {first:?} signals {e:?} read {r:?} {:?} {}",
        text.len(),
        c.signals(text).why,
        s / n as f32
    );
}
fn main() {
    let t = Instant::now();
    unigate::intent::CodeIntent::shipped();
    println!("compile {:?}", t.elapsed());
    let t = Instant::now();
    unigate::intent::read("", 1, 1);
    println!("compile depth {:?}", t.elapsed());
    let all0 = include_str!("../tests/fixtures/intents.tsv");
    for _ in 0..3 {
        let t = Instant::now();
        let mut worst = std::time::Duration::ZERO;
        for l in all0.lines() {
            let t = Instant::now();
            unigate::intent::read(l.split('\t').nth(1).unwrap(), 10, 1);
            worst = worst.max(t.elapsed());
        }
        println!(
            "fixture pass: {:?} a prompt, worst {worst:?}, rss {}",
            t.elapsed() / all0.lines().count() as u32,
            std::fs::read_to_string("/proc/self/status")
                .unwrap()
                .lines()
                .find(|l| l.starts_with("VmRSS"))
                .unwrap()
        );
    }
    time("short", "What's the return policy at Target?");
    let all = include_str!("../tests/fixtures/intents.tsv");
    let prose: String = all
        .lines()
        .filter(|l| l.starts_with("general"))
        .map(|l| l.split('\t').nth(1).unwrap())
        .collect::<Vec<_>>()
        .join(" ");
    let k1: String = prose.chars().skip(5000).take(1000).collect();
    time("prose 1K", &k1);
    let k32: String = prose.chars().cycle().take(32000).collect::<String>();
    time("prose 32K", &k32[..32000]);
    let code = include_str!("../src/intent.rs");
    time("code 1K", &code[2000..3000]);
    time("code 32K", &code.repeat(10)[..32000]);
    let mut m = all.len().min(32000);
    while !all.is_char_boundary(m) {
        m -= 1
    }
    time("mixed all", &all[..m]);
    time("1MB", &all.repeat(30));
    time("aaaa", &"a".repeat(32000));
    time("write", &"write in ".repeat(3500));
    time("{{{", &"{ a = ( ".repeat(4000));
    time("spaces", &" ".repeat(32000));
    time("nl", &"\n".repeat(32000));
    time("at", "   at  ".repeat(4500).as_str());
    time("cjk", &"用写一个函数今天天气怎么样".repeat(800));
    time(
        "base64",
        &"TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dCBieSB0aGlz/"
            .repeat(400),
    );
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find(|l| l.starts_with("VmRSS"))
            .unwrap()
    );
}
