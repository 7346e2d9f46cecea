//! What code and the messages of machines look like, as patterns over lines.
//!
//! No pattern counts repetitions over a range (`{0,80}`) and none holds long lists of words: both make
//! automata so large that a hostile text could cost a hundred milliseconds. Words are in `lexicon`.

use super::lexicon::Says;
use regex::bytes::{RegexSet, RegexSetBuilder};
use std::sync::LazyLock;

/// What one kind of code looks like.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) why: &'static str,
    pub(super) says: Says,
    pattern: &'static str,
}

const fn shape(why: &'static str, weight: f32, pattern: &'static str) -> Shape {
    Shape { why, says: Says::Code(weight), pattern }
}

/// Every shape. Case counts; `^` and `$` are the ends of a line.
pub(super) const SHAPES: &[Shape] = &[
    shape("fenced block", 0.6, r"^[ \t>]*(?:```|~~~)"),
    shape("traceback", 1.0, r#"Traceback \(most recent call last\)|^\s*File "[^"\n]+", line \d"#),
    shape(
        "stack trace",
        0.8,
        r"^\s+at \S[^\n]*[:(][^\n]*\d\)?\s*$|^goroutine \d+ \[|Exception in thread|^Caused by: \w|^panic: |^thread '[^'\n]*' panicked at|\b[a-z]+\.[a-z.]+\.[A-Z]\w*(?:Error|Exception)\b",
    ),
    shape(
        "compiler message",
        0.7,
        r"\berror(?:\[[A-Z]?\d+\]| TS\d| CS\d| C\d\d)|^\s*error: |undefined reference to|cannot find symbol|unresolved external|^\s*--> \S+:\d|\b[A-Z][A-Z]+-?\d{4}\d*: |(?i:syntax|compile|compiler|compilation|linker|runtime) errors?\b",
    ),
    shape(
        "place in a source file",
        0.5,
        r"\w\.(?:c|cc|cpp|h|hpp|rs|py|go|tsx?|jsx?|mjs|java|kt|cs|rb|php|swift|scala|lua|sh|sql|hs|vue):\d",
    ),
    shape("name of an error", 0.6, r"\b[A-Z][A-Za-z]*[a-z](?:Error|Exception|Warning)\b"),
    shape("diff", 0.8, r"^diff --git |^@@ -\d|^(?:\+\+\+|---) [ab]/"),
    shape(
        "definition",
        0.7,
        r"\bdef \w+\s*\(|\bfn \w+\s*[<(]|\bfunc (?:\([^)\n]*\) )?\w+\(|\bfunction\s*\w*\s*\([\w\s,.=\[\]]*\)|\bpublic (?:static|class|void|int|interface|final|[A-Z]\w* \w+\()|\b(?:private|protected) \w+ \w+\s*[;=(]|^\s*impl(?:<[^>\n]*>)? \w+|\btemplate\s*<|^\s*(?:export )?(?:class|struct|enum|interface|trait|object|record) \w[^.\n]*[{:]\s*$|#include\s*[<\x22]|\b(?:int|void|char|float|double|bool|String|long) \*?\w+\([^)\n]*\)\s*\{|\b__\w+__|^#!/|^\s*#define \w|^\s*@\w[^\n]*\n\s*(?:def|class|public|async) ",
    ),
    shape(
        "import line",
        0.6,
        r#"^\s*from [\w.]+ import [\w*(]|^\s*import (?:\w+ as \w+|\w+\.[\w.]+|[\w.]+;)\s*$|^\s*import \w+\r?\n\s*(?:import |from |def |class |@|#|\w[\w.]*\s*[=(])|^\s*import [^\n]+ from ['"]|^\s*use \w+::[^\n]*;|^\s*using \w[\w.]*;|^\s*package (?:main|[\w.]+;)\s*$|\brequire\(['"]"#,
    ),
    shape(
        "statement",
        0.6,
        r"[\w)\]]\s*[-+*/|&]?=\s*[^=\n;]+;[ \t]*(?:\r?$|\}|//)|\w\([^()\n]*\)\s*;|\b(?:const|let|var|val|auto) (?:mut )?\w+(?::\s*[\w<>\[\]]+)?\s*=|\b(?:for|while|if|switch|catch)\s*\([^\n]+\)\s*\{|^\s*(?:if|elif|else|for|while|try|except|with|finally)\b[^.?!\n]*:[ \t]*\r?\n[ \t]+\S|\bfor \w+ in [\w.()]+:|\bif \w[^\n:]*(?:[<>=!]=|[<>])[^\n:]*:|^\s*return [\w.(\[]+[^\n]*;|\b(?:console\.log|System\.out\.|println!|printf?\(|std::)|\w\s*\+=\s*\w|^[ \t]*\w[^.\n;]*\{[ \t]*\r?$|=>\s*[{(\w]|^[ \t]*\}[;,)]*[ \t]*\r?\n",
    ),
    shape("method call", 0.4, r"\b[a-z_]\w*\.[a-z_][\w.]*\(|\b[a-z_]\w*\(\)"),
    shape(
        "markup",
        0.6,
        r"</?(?:div|span|p|a|html|body|head|script|style|table|t[rdh]|[uo]l|li|img|input|button|form|h[1-6]|section|nav|svg)(?:\s[^>\n]*)?/?>",
    ),
    shape("JSON", 0.4, r#"[{,]\s*"[\w$-]+"\s*:\s*["\d\[{tfn-]"#),
    shape(
        "SQL statement",
        0.7,
        r"\bSELECT\b[^;]+\bFROM\b|(?i:\bselect (?:\*|count\(|distinct |[\w.]+, ?\w)[^;\n]*\bfrom \w|\bselect [^;\n]+ from \w+ (?:where \w+ ?[=<>]|join \w|group by|order by)|\binsert into \w+\s*(?:\(|values)|\bupdate \w+ set \w+\s*=|\bdelete from \w+ where|\b(?:create|alter|drop) (?:table|index|view|database) \w)",
    ),
    shape(
        "shell command",
        0.6,
        r"^\s*\$ [a-z]|\b(?:curl|wget|tar|grep|sed|awk|tail|head|ls|rm|find|ssh|scp|ps|kill|du|cp|mv|mkdir|jq|python3?|node|java|gcc|make|git|docker|cargo|npm) --?[a-zA-Z]|\bsudo \w",
    ),
    shape(
        "operator",
        0.5,
        r"===|!==|\w&&\w|\w \|\| \w|\w::\w|\w->\w|\s[!=]=\s|\?\.\w|:=\s|\w&?\[\w+\]\s*=",
    ),
    shape("style rule", 0.6, r"[.#]?\w[\w-]*\s*\{\s*[a-z-]+\s*:[^}\n]*\}?"),
    shape(
        "shell syntax",
        0.5,
        r"; (?:do|then)\b|^\s*(?:done|fi|esac)\b|\$[a-z_]\w*|\$\{|\$\(\w|\d>&\d|[^-]>>? ?/dev/|\w \| (?:grep|cut|sort|awk|sed|xargs|head|wc|uniq|tee|jq)\b",
    ),
    shape("inline code", 0.3, r"`[^`\n]+`"),
    shape(
        "source file name",
        0.4,
        r"\w\.(?:py|ipynb|tsx?|jsx|mjs|rs|cpp|hpp|java|kt|rb|php|sh|ps1|sql|html|css|scss|ya?ml|toml|json|gradle|cfg|ini|vue|csproj)\b|\bmain\.(?:c|go|js)\b|\.(?:gitignore|bashrc|zshrc|htaccess)\b",
    ),
    shape(
        "regular expression",
        0.4,
        r"\\[dws][+*{)]|\[\^?(?:a-z|0-9)[^\]\n]*\]|\(\?[:=!<P]|\^\(?\\?[\w\[(]\S*\$",
    ),
    shape("identifier", 0.4, r"\b[a-z]\w*[a-z0-9]_[a-z0-9]\w*\b|\b[a-z]{2}[a-z]*[A-Z][a-z]\w*\b"),
    Shape { why: "prove", says: Says::Depth, pattern: "证明|証明" },
    Shape {
        why: "long text",
        says: Says::Depth,
        pattern: "写一篇|写一个故事|(?:エッセイ|小説|物語|作文|論文)を?書",
    },
    Shape {
        why: "analysis",
        says: Says::Depth,
        pattern: "分析|比較して|比较一下|详细|詳しく|자세히",
    },
    shape(
        "made in a language",
        0.5,
        "(?:用|在|使用) ?(?:Java|Python|C|Go|Rust|PHP|R|SQL|Excel|Vue|React|Linux)|(?:Java|Python|C|C\\+\\+|C#|Go|Rust|PHP|Ruby|Swift|Kotlin|Excel|JavaScript) ?(?:で|の|中|里|에서|로 )",
    ),
    shape(
        "asks for a program",
        0.6,
        "(?:写|编写|实现)[^.?!\n]*(?:函数|代码|脚本|程序|排序|算法)|(?:関数|プログラム|スクリプト|コード)[^.?!\n]*(?:書|作|実装)|実装して|함수를|코드를|스크립트를",
    ),
];

/// How many shapes share an automaton. More would save passes over the text, but the states of an
/// automaton multiply with its patterns, and one that outgrows its cache is slow on every text.
const TOGETHER: usize = 4;

/// All shapes, `TOGETHER` at a time.
static SETS: LazyLock<Vec<RegexSet>> =
    LazyLock::new(|| SHAPES.chunks(TOGETHER).map(compile).collect());

#[expect(clippy::expect_used, reason = "the patterns are constants that every test compiles")]
fn compile(shapes: &[Shape]) -> RegexSet {
    RegexSetBuilder::new(shapes.iter().map(|shape| shape.pattern))
        .multi_line(true)
        .unicode(false)
        .build()
        .expect("shipped patterns compile")
}

/// Compiles the patterns, unless that has been done.
pub(super) fn prepare() {
    LazyLock::force(&SETS);
}

/// Calls `found` with the index of each shape that is in `text`.
pub(super) fn shapes(text: &str, mut found: impl FnMut(usize)) {
    for (nth, set) in SETS.iter().enumerate() {
        for index in &set.matches(text.as_bytes()) {
            found(nth * TOGETHER + index);
        }
    }
}
