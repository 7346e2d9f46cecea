//! The shipped signals of code: what each looks like and how much it says.
//!
//! Patterns run over bytes, ignore case and know only ASCII word boundaries, so that they stay on
//! the fast path of `regex` whatever the text's language. `%name%` stands for a list of words below.

/// How signals of one kind add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says code by itself, or nearly: every match counts in full.
    Strong,
    /// A word that code shares with ordinary life: however many there are, they stay below the threshold.
    Weak,
}

/// One signal: its name in `why`, what it weighs, what it looks like.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) why: &'static str,
    pub(super) kind: Kind,
    pub(super) weight: f32,
    pub(super) pattern: &'static str,
}

const fn strong(why: &'static str, weight: f32, pattern: &'static str) -> Rule {
    Rule { why, kind: Kind::Strong, weight, pattern }
}

const fn weak(why: &'static str, weight: f32, pattern: &'static str) -> Rule {
    Rule { why, kind: Kind::Weak, weight, pattern }
}

/// Word lists that several patterns share, as `(name, alternatives)`.
pub(super) const LISTS: &[(&str, &str)] = &[
    // Names that mean nothing outside of programming.
    (
        "%sure%",
        r"(?:javascript|typescript|ecmascript|js|jsx|tsx|c\+\+|cpp|c#|csharp|f#|golang|haskell|kotlin|php|html5?|s?css3?|(?:my)?sql|t-sql|pl/sql|sqlite3?|postgres(?:ql)?|bash|zsh|powershell|matlab|fortran|cobol|erlang|clojure|ocaml|elixir|vba|vb\.net|solidity|wasm|webassembly|node\.?js|next\.?js|vue\.?js|react\.?js|jquery|django|fastapi|numpy|pytorch|tensorflow|sklearn|scikit-learn|opencv|matplotlib|graphql|tailwind|kubernetes|k8s|ansible|webpack|laravel|symfony|asp\.net|dotnet|mongodb|nginx|yaml|toml|json|cmake|gcc|clang|rustc|latex|xpath|websockets?|ffmpeg|sqlalchemy|hibernate|spring boot|ruby on rails)",
    ),
    // Names of languages and tools that are also words.
    (
        "%maybe%",
        r"(?:python3?|java|rust|ruby|perl|scala|lua|react|node|django|flask|pandas|angular|svelte|vue|rails|docker|terraform|excel|arduino|assembly|julia|groovy|zig|raku|pascal|prolog|lisp|scheme|redis|git|express)",
    ),
    // What one has in a program; only read beside a language or after a verb of making.
    (
        "%thing%",
        r"(?:functions?|methods?|classe?s?|scripts?|programm?(?:s|er|ers|ing)?|code|coding|codebase|snippets?|loops?|arrays?|lists?|strings?|dict(?:s|ionary|ionaries)?|tuples?|structs?|enums?|traits?|interfaces?|modules?|packages?|librar(?:y|ies)|crates?|decorators?|generators?|iterators?|closures?|lambdas?|pointers?|variables?|exceptions?|errors?|quer(?:y|ies)|(?:unit )?tests?|api|apis|apps?|applications?|backend|frontend|components?|hooks?|parsers?|algorithms?|implementation|compilers?|interpreter|syntax|keywords?|macros?|templates?|threads?|imports?|developers?|dataframes?|tutorial|requests|types?|funktion(?:en)?|klassen?|skripte?|programme?|fonctions?|funci(?:o|ó)n(?:es)?|clases?|c(?:o|ó)digo|funzion[ei]|classi|codice|fun(?:ç|c)(?:ão|ao)|funkcj\w*|klas\w*|functies?)",
    ),
    // To make or mend something, in the languages that prompts come in.
    (
        "%make%",
        r"(?:writ(?:e|ing)|implement\w*|creat(?:e|ing)|build|make|generate|develop|code|program|fix|debug|port|give me|show me|design|rewrite|optimi[sz]e|simplify|complete|finish|schreibe?n?|erstellen?|programmiere?n?|implementiere?n?|(?:é|É)cri(?:s|re|vez)|cr(?:é|e)e[rz]?|impl(?:é|e)mente[rz]?|escrib[ae]|escribir|crear?|haz(?:me)?|scriv[ai]|scrivere|creami|napisz|stw(?:ó|o)rz|escrev[ae]|crie|schrijf|maak|skriv|yaz|napi(?:š|s))",
    ),
    // The beginning of a relative clause: a program *that* does something.
    (
        "%that%",
        r"(?:that|which|to|for|in|using|with|der|die|das|um|qui|que|pour|para|che|per|kt(?:ó|o)r\w+|som|dat)",
    ),
];

/// Every shipped signal, from the surest to the weakest.
pub(super) const RULES: &[Rule] = &[
    // Shapes: the text holds code, or what a machine said about code.
    strong("fenced block", 0.6, r"^[ \t>]{0,6}(?:```|~~~)"),
    strong(
        "traceback",
        1.0,
        r#"traceback \(most recent call last\)|^\s*file "[^"\n]+", line \d+"#,
    ),
    strong(
        "stack trace",
        0.8,
        r"^\s+at \S[^\n]{0,120}[:(][^\n]{0,80}\d+\)?\s*$|^goroutine \d+ \[|exception in thread|^caused by: \w+\.|^panic: |thread '[^'\n]*' panicked at|(?-i:\b[a-z]+(?:\.[a-z]+)+\.[A-Z]\w*(?:Error|Exception)\b)",
    ),
    strong(
        "compiler message",
        0.7,
        r"\berror(?:\[[a-z]?\d+\]|\s+(?:ts|cs|c)\d{3,5})|^\s*error: |undefined reference to|cannot find symbol|unresolved external|^\s*-->\s*\S+:\d+|expected [`'][^\n]{1,40}found|(?:syntax|type|reference|linker|parse|compile(?:r)?|compilation|build|runtime) errors?\b|^\s*error TS\d+",
    ),
    strong(
        "place in a source file",
        0.5,
        r"[\w/-]\.(?:c|cc|cpp|cxx|h|hpp|rs|py|go|tsx?|jsx?|mjs|java|kts?|cs|rb|php|swift|scala|lua|pl|sh|sql|hs|ex|vue):\d+",
    ),
    strong("name of an error", 0.6, r"(?-i:\b[A-Z][A-Za-z]*[a-z](?:Error|Exception|Warning)\b)"),
    strong(
        "crash",
        0.6,
        r"\bseg-?faults?\b|segmentation faults?|\bcore dumped\b|null ?pointer|\buse[- ]after[- ](?:free|move)|\bdouble free\b|undefined behaviou?r|\bmemory leaks?\b|stack ?trace|\bstack ?overflow|index out of (?:range|bounds)|is not (?:a function|defined|iterable|assignable)|maximum recursion|operands could not|exit code \d|\berrno\b|\beresolve\b|\bcrashloop|out of memory error|\bsig(?:segv|abrt|kill)\b",
    ),
    strong("diff", 0.8, r"^diff --git |^@@ -\d+|^(?:\+\+\+|---) [ab]/"),
    strong(
        "definition",
        0.7,
        r"\bdef \w+\s*\(|\bfn \w+\s*[<(]|\bfunc (?:\([^)\n]*\) )?\w+\(|\bfunction\s*\w*\s*\([\w\s,.={}\[\]]*\)|\bfunction \w+\(|\bpublic (?:static|class|void|int|interface|string|final)\b|\b(?:private|protected) \w+ \w+\s*[;=(]|\bimpl(?:<[^>\n]*>)? \w+|\btemplate\s*<|^\s*(?:class|struct|enum|interface|trait|object|record) \w+[^.\n]{0,80}[{:]\s*$|\bclass \w+\([\w., ]*\):|#include\s*[<\x22]|^#!/|^\s*#define \w|^\s*@\w+(?:\([^\n]*\))?\s*\n\s*(?:def|class|public|async)\b",
    ),
    strong(
        "import line",
        0.6,
        r#"^\s*from [\w.]+ import [\w*(]|^\s*import [\w.]+(?: as \w+)?;?\s*$|^\s*import [^\n]{1,100} from ['"]|^\s*use [\w:]+(?:::[^\n]*)?;|^\s*using [\w.]+;|^\s*package [\w.]+;?\s*$|\brequire\(['"]"#,
    ),
    strong(
        "statement",
        0.6,
        r"[\w)\]]\s*(?:[-+*/|&]?=)\s*[^=\n][^\n]{0,120};|\w\([^()\n]{0,80}\)\s*;|\b(?:const|let|var|val|auto) (?:mut )?[\w{}\[\], ]{1,40}(?::\s*[\w<>\[\]]+)?\s*=|\b(?:for|while|if|switch|catch)\s*\([^\n]{1,120}\)\s*\{|^\s*(?:if|elif|else|for|while|try|except|with|finally)\b[^.?!\n]{0,120}:[ \t]*\r?\n[ \t]+\S|\bfor \w+ in [\w.()]+:|\bif [^\n:]{1,60}(?:[<>=!]=|[<>]|\bnot\b)[^\n:]{0,60}:|^\s*return [\w.(\[]+[^\n]{0,60};|\bconsole\.log|\bsystem\.out\.|\bprintln!|\bprintf?\(|\bstd::|\w\s*\+=\s*\w|^[ \t]*[\w.-]+:?[^.\n;]{0,60}\{[ \t]*\r?$|=>\s*[{(\w]|^[ \t]*\}[;,)]*[ \t]*\r?\n|\w\[\w+\]\s*=",
    ),
    strong("method call", 0.4, r"\b[a-z_]\w*(?:\.[a-z_]\w*)+\(|\b[a-z_]\w*\(\)"),
    strong("markup", 0.6, r#"</?(?:div|span|p|a|html|body|head|script|style|table|t[rdh]|[uo]l|li|img|input|button|form|h[1-6]|section|nav|svg|template)(?:\s[^>\n]{0,200})?/?>"#),
    strong("JSON", 0.4, r#"[{,]\s*"[\w$-]+"\s*:\s*["\d\[{tfn-]"#),
    strong(
        "SQL statement",
        0.7,
        r"(?-i:\bSELECT\b[^;]{1,300}?\bFROM\b)|\bselect (?:\*|count\(|distinct |[\w.]+, ?[\w., ]+) ?[^;\n]{0,80}\bfrom \w+|\bselect [^;\n]{1,80} from \w+ (?:where \w+ ?[=<>]|(?:inner |left |right )?join \w+|group by|order by)|\binsert into \w+\s*(?:\(|values)|\bupdate \w+ set \w+\s*=|\bdelete from \w+ where|\b(?:create|alter|drop) (?:table|index|view|database) \w+",
    ),
    strong(
        "shell command",
        0.6,
        r"^\s*\$ [a-z]|\b(?:npm|npx|yarn|pnpm|pip3?|cargo|apt(?:-get)?|brew|poetry|conda|composer|dotnet|mvn|gradle|docker|podman|kubectl|helm|terraform|go mod|rustup|uv|git) (?:install|i|ci|run|build|test|add|init|get|pull|push|commit|rebase|merge|clone|checkout|stash|log|diff|reset|revert|bisect|cherry-pick|blame|branch|tag|status|fetch|submodule|exec|ps|logs|apply|describe|delete|compose|update|publish|tidy|plan|clippy|bench|-\w)\b|\b(?:chmod|chown|kubectl|systemctl|journalctl|crontab|authorized_keys|xargs|rsync|makefile)\b|\b(?:curl|wget|tar|grep|sed|awk|tail|head|ls|rm|cat|find|ssh|scp|ps|kill|du|cp|mv|mkdir|jq|python3?|node|java|gcc|make) -{1,2}[a-z]|\bsudo \w+|\bawk\b",
    ),
    strong("operator", 0.5, r"===|!==|\w&&\w|\w\s\|\|\s\w|\w::\w|\w->\w|\s[!=]=\s|\?\.\w|\|>|\]\(\)|:="),
    strong("inline code", 0.3, r"`[^`\n]{1,80}`"),
    strong(
        "source file name",
        0.4,
        r"\b[\w-]+\.(?:py|ipynb|tsx?|jsx|mjs|rs|cpp|hpp|java|kt|rb|php|sh|ps1|sql|html|css|scss|ya?ml|toml|json|gradle|lock|cfg|ini|vue|csproj)\b|\bmain\.(?:c|go|js)\b|\.(?:gitignore|env|bashrc|zshrc|htaccess)\b",
    ),
    strong(
        "regular expression",
        0.4,
        r"\\[dws][+*{)]|\[\^?(?:a-z|0-9)[^\]\n]*\]|\(\?[:=!<P]|\^\(?\\?[\w\[(]+[^\n ]*\$",
    ),
    // Words that mean programming wherever they stand.
    strong(
        "programming term",
        0.5,
        r"\bregex(?:es|p)?\b|\bregular expressions?\b|\bregul(?:ä|a)re[rn]? ausdr|expression r(?:é|e)guli|expresi(?:ó|o)n regular|\bdocker-?files?\b|\bdocker[- ]compose\b|\brefactor\w*|\brefaktor\w*|\bunit[- ]?tests?\b|\bpytest\b|\bjunit\b|\bleetcode\b|\brest(?:ful)? api\b|\bapi (?:endpoint|key|call|client|server)s?\b|\bendpoints? (?:that|for|which|to)\b|\bpull requests?\b|\bmerge conflicts?\b|\bsql quer(?:y|ies)\b|\bstored procedures?\b|\bborrow checker\b|\bgoroutines?\b|\basync/await\b|\bmutex(?:es)?\b|\bpseudo-?code\b|\bsource code\b|\bquell(?:code|text)\b|\bcode ?base\b|\bcode review\b|\bstyle ?sheets?\b|\b(?:for|while|foreach)[- ](?:loop|schleife)s?\b|\bboucle (?:for|while)\b|\bbucle (?:for|while)\b|\brecursive (?:function|call|method)s?\b|\btime complexity\b|\blinked lists?\b|\bbinary (?:search|tree)s?\b|\bhash ?(?:map|table)s?\b|\blru cache\b|\b(?:quick|merge|bubble|heap|insertion|radix) ?sort\b|\b(?:depth|breadth)-first search\b|\bdata structures?\b|\bgithub actions?\b|\bgitlab ci\b|\bcors\b|\buse(?:effect|state|memo|ref|callback)\b|\bstd(?:in|out|err)\b|\blocalhost(?::\d+)?\b|\benvironment variables?\b|\b(?:left|right|inner|outer|cross|full) joins?\b|\b(?:primary|foreign) keys?\b|\bdatabase (?:schema|quer\w+|migration|index)\b|\bfull table scan\b|\bbeautiful ?soup\b|\blist comprehensions?\b|\btype hints?\b|\bthread[- ]safe\b|\b(?:excel|sheets|spreadsheet) (?:formula|macro)s?\b|\bexcel-formel\b|\bformule excel\b|\bvim\b|\b(?:bash|shell|python|batch) scripts?\b|\bsyntax highlight\w*|\bwebhooks?\b|\bmiddleware\b|\boauth2?\b|\bjwt\b|\bci/cd\b|\bnull ?able\b|\bbig[- ]?o notation\b|\bdependency injection\b|\bdesign patterns?\b.{0,20}\bcode\b|\bdynamic programming\b|\bint main\b|\bcommand[- ]line (?:tool|parser|arguments?|flags?)\b|\bcli tool\b|\bweb ?scrap\w*|\bscrape\b|\bbackend\b|\bfrontend\b|\bgarbage collector\b|\bdiv\b|\b(?:css|html|sql|php|js) \w+|\bdataframes?\b|\bcompile[- ]time\b|\bruntime error\b|\bnamespaces?\b|\bopenssl\b|\bself-?join\b|\bint(?:eger)? overflow\b|\bbitwise\b|\blambda (?:function|expression)s?\b|\bsocket(?:s)? (?:server|programming|client)\b|\barray of (?:int|string|object|number)\w*|\bheadless\b|\bdebugger\b|\bbreakpoints?\b",
    ),
    strong(
        "code as such",
        0.5,
        r"\b(?:this|the following|my|your|some|sample|example|clean|working|legacy|c|machine-readable|below|diesen|diesem|dieser|meinen?|meinem|ce|mon|este|esta|mi|questo|esse|ten) (?:\w+ )?(?:code|codice|c(?:ó|o)digo|kod)\b(?:\s*(?:[:,.?!)]|$|\w+ing\b|do|does|is|it|isn|doesn|so|to|into|in|for|please|from|von|by|with|and|faster|more|work|snippet|sample))|\bwhat (?:this|the) code\b|\b(?:write|writing|generate|review|debug|fix|optimi[sz]e|refactor|complete|finish|document|clean up) (?:me )?(?:the |some |my |this |a )?code\b|\bcode (?:snippet|example|sample|smell|block|to (?:parse|read|write|send|sort|find|compute|print|convert))s?\b|\bwith code\b|\bto code (?:a|an|in)\b|\bcode (?:a|me a|up a) \w+|\bcod(?:e|ing) (?:challenge|interview|exercise|kata)s?\b|コード|代码|程式碼|(?:К|к)од (?:на|для)|исходный код",
    ),
    // A language beside what one writes in it.
    strong(
        "language + construct",
        0.6,
        r"\b%sure%[\s'`-]{1,2}(?:\w+[\s-]){0,2}%thing%\b|\b%maybe%(?:'s)?[\s`-]{1,2}(?:\w+[\s-])?%thing%\b|\b%thing%\b[^.?!\n]{0,50}[\s(](?:in|using|with|en|mit|auf|con|em|avec|w|i|v|av|na)[\s`]+(?:%sure%|%maybe%)(?:\W|$)|\b(?:go|swift|c|r|dart|shell|cuda|zig|nim|v8)[\s-](?:functions?|structs?|program(?:s|mer|ming)?|compilers?|modules?|routines?|slices?|channels?|interfaces?|enums?|closures?|packages?|scripts?|header|headers|macros?|pointers?|developers?)\b|\b%maybe%(?:\s\w+){1,2}\s(?:keyword|decorator|exception|dataframe|traceback|equivalent)\b|\b%maybe% (?:equivalent|virtualenv|venv|dependency|dependencies|borrow\w*|lifetimes?|ownership|generics?)\b",
    ),
    strong(
        "made in a language",
        0.5,
        r"\b(?:%make%|how (?:do|can|to|would|should|does)|wie|comment|c(?:o|ó)mo|come|why (?:do|does|is)|what (?:do|does|is))\b[^.?!\n]{0,80}[\s(](?:in|using|with|en|mit|con|em|avec|w|av)[\s`]+(?:%sure%|python3?|ruby|perl|scala|lua|pandas|react|django|docker|elixir|prolog|lisp|(?-i:Go|Rust|Swift|C|R|Java|Dart|Julia|Excel|Scheme))(?:[\s]*(?:[,.;:?!)`]|$)| (?:that|which|with|without|to|please|using|and|but|the easiest|when|by|code|from|on))",
    ),
    strong(
        "translated between languages",
        0.6,
        r"\b(?:convert|port|translate|rewrite|migrat\w+|transpile|turn|(?:ü|Ü)bersetz\w*|bersetz\w*|tradui\w*|traduc\w*|convierte|konvertiere)\b[^.?!\n]{0,100}\s(?:to|into|from|in|nach|von|en|vers|de|a)\s(?:%sure%|python3?|ruby|perl|scala|(?-i:Go|Rust|Swift|C|R|Java|Dart|Julia))(?:\W|$)",
    ),
    strong(
        "asks for a program",
        0.5,
        r"\b(?:writ(?:e|ing)|implement\w*|schreibe?n?|programmiere?n?|cri(?:s|re|vez)|escrib[ae]|escribir|scriv[ai]|napisz|escrev[ae]|schrijf|skriv)\b[^.?!\n]{0,40}\b(?:functions?|subroutine|quer(?:y|ies)|decorators?|parser|algorithm\w*|methods? (?:that|to|which)|makefile|macro|funktion(?:en)?|fonctions?|funci(?:o|ó)n|funzione|fun(?:ç|c)(?:ão|ao)|funkcj\w+|consulta|abfrage|requ(?:ê|e)te)\b|\b(?:writ(?:e|ing)|creat(?:e|ing)|build|make|need|want|give me|schreibe?n?|erstellen?|cri(?:s|re|vez)|cr(?:é|e)er?|escrib[ae]|escribir|crea|scriv[ai]|napisz|escrev[ae]|schrijf)\b[^.?!\n]{0,40}\b(?:scripts?|programm?[ae]?s?|skript|apps?|bot|website|web ?page|plugin|extension|cronjob|cron job|workflow|smart contract|game)\b,?[^.?!\n]{0,25}\s%that% [^.?!\n]{0,40}\b(?:prints?|reads?|parses?|outputs?|files?|folders?|director\w+|csv|pdf|input|sorts?|loops?|counts?|computes?|calculates?|renames?|deletes?|backs? up|backup|lists?|lists all|numbers?|database|server|request|url|log|user input|javascript|command line|python|fibonacci|fichiers?|archivos?|dateien|zahlen|calcul\w+|berechnet)\b|\bimplement (?:a|an|the|your own)? ?(?:\w+ ){0,3}(?:sort|tree|stack|queue|heap|cache|trie|graph|server|client|search|pattern|allocator|hash|filter|iterator|iterable|interface|trait|tokenizer|lexer|matrix)\b",
    ),
    strong(
        "asks for a program",
        0.6,
        "Напиши[^.?!\n]{0,60}(?:функци|скрипт|программ|код|класс|запрос)|(?:写|编写|实现)[^.?!\n]{0,90}(?:函数|代码|脚本|程序|排序|算法|类)|(?:関数|プログラム|スクリプト)[^.?!\n]{0,60}(?:書|作|実装)|実装して|함수를|코드를|스크립트를",
    ),
    // Words that are at home in programs and elsewhere too.
    weak("programming", 0.35, r"\b(?:programming|programmer|software|coding|compil(?:e|es|ed|er|ers|ing|ation)|debug(?:ging)?|algorithms?|databases?|runtime|deploy\w*|repo(?:sitory)?|commits?|open[- ]source)\b"),
    weak("language by name", 0.35, r"(?:^|[^\w-])%sure%(?:[^\w+#-]|$)"),
    weak("perhaps a language", 0.15, r"\b(?:%maybe%|swift|golang|shell|(?-i:Go|C|R))\b"),
    weak("construct", 0.15, r"\b(?:functions?|methods?|class(?:es)?|scripts?|loops?|modules?|interfaces?|threads?|exceptions?|return|import|imports|null|void|funktion|klasse|fonction|schleife|boucle|bucle)\b"),
    weak("type of data", 0.2, r"\b(?:arrays?|strings?|integers?|booleans?|bool|floats?|tuples?|dictionar(?:y|ies)|variables?|pointers?|structs?|enums?|pixels?|bytes?|nums|indices|index|hash|json|csv|xml|http|url|schema)\b"),
    weak("mending", 0.15, r"\b(?:bugs?|fix|crash\w*|fails?|failing|error|errors|warning|broken|doesn'?t work|not working|fehler|erreur)\b"),
    weak("identifier", 0.25, r"(?-i:\b[a-z]{2,}[a-z0-9]*(?:_[a-z0-9]+)+\b|\b[a-z]{3,}[A-Z][a-z]{2,}\w*\b|\b[A-Z][a-z]+[A-Z][a-z]+[A-Z]\w*\b)"),
];
