//! Whether a short text asks for work that a small model does badly: proofs, essays, analysis.

use super::{compile, ends};
use regex::bytes::RegexSet;
use std::sync::LazyLock;

/// The beginning of a command: the start of a line or sentence, or a polite opening.
const OPEN: &str = r"(?:^\W*|[.!?:;]\s+|\b(?:please|bitte|can you|could you|would you|help me|i want you to|you must|i need you to|and|und|then) )";

/// What one writes at length.
const WORK: &str = r"(?:essays?|stor(?:y|ies)|articles?|speech|letters?|poems?|sonnets?|ballad|novel|chapters?|screenplay|scenes?|scripts?|dialogue|monologue|reviews?|reports?|plans?|proposals?|guide|tutorial|lesson|curriculum|syllabus|outline|blog|posts?|thesis|dissertation|paper|eulog\w+|toast|biography|memoir|cycle|lyrics|songs?|fable|fairy tale|itinerary|strategy|complaint|memo|white ?paper|case study|press release|newsletter|cover letter|summary of the book|play|sermon|manifesto|obituary|aufsatz|essay|geschichte|gedicht\w*|artikel|rede|brief|bericht\w*|plan|trainingsplan|konzept|roman|kurzgeschichte|m(?:ä|a)rchen|dissertation|histoire|po(?:è|e)me|lettre|discours|conte|r(?:é|e)daction|nouvelle|ensayo|cuento|historia|poema|carta|discurso|informe|art(?:í|i)culo|saggio|racconto|poesia|lettera|storia|tema|articolo|reda(?:ç|c)(?:ã|a)o|ensaio|conto|opstel|verhaal|rozprawk\w+|opowiadanie|wypracowanie)";

/// To write, in the languages that prompts come in.
const WRITE: &str = r"(?:write|compose|draft|create|develop|design|prepare|outline|tell me|give me|invent|schreibe?n?|verfasse?n?|erstelle?n?|stelle|entwirf|entwickle|erz(?:ä|a)hle?|(?:é|É|e)cri(?:s|re|vez)|r(?:é|e)dige[rz]?|compose[rz]?|invente|escrib[ae]|escribir|redacta|inventa|scriv[ai]|componi|escrev[ae]|schrijf|napisz|skriv)";

/// Demands by name, as patterns. `%open%`, `%work%` and `%write%` are the lists above.
const DEMANDS: &[(&str, &str)] = &[
    (
        "prove",
        r"\b(?:prove|disprove|proof)\b|\bshow that\b|\bbew(?:ei|ie)s\w*|\bd(?:é|e)montre[rz]?\b|\bd(?:e|é)muestr\w+|\bdemostrar\b|\bdimostra\w*|\bprouve[rz]?\b|\budowodnij|证明|証明|(?:Д|д)окажи",
    ),
    (
        "derive",
        r"%open%(?:derive|deduce|integrate|factori[sz]e|solve)\b|\bderive (?:the|a|an)\b|\bderivation of\b|\bleite\b.{1,60}\bher\b|%open%(?:l(?:ö|o)se|r(?:é|e)sous|resuelve|risolvi)\b",
    ),
    (
        "detail",
        r"\b(?:in|with|more|great(?:er)?) (?:\w+ )?(?:depth|details?)\b|\bin-depth\b|\bdetailed\b|\bthorough(?:ly)?\b|\bcomprehensive(?:ly)?\b|\bexhaustive\w*|\bextensive(?:ly)?\b|\bat length\b|\bausf(?:ü|u)hrlich\w*|\bim detail\b|\bdetailliert\w*|\bgr(?:ü|u)ndlich\w*|\ben (?:d(?:é|e)tail|profondeur|detalle|profundidad)\b|\bd(?:é|e)taill\w+|\bdetallad\w+|\ba fondo\b|\bin dettaglio\b|\bdettagliat\w+|\bem detalhe|\bdetalhad\w+|\bszczeg(?:ó|o)(?:ł|l)ow\w+|подробно|详细|詳しく|\b\d{3,}[- ](?:word|w(?:ö|o)rter|mots|palabras|parole)",
    ),
    (
        "steps",
        r"\bstep[- ]by[- ]step\b|\breason (?:carefully|through)|\b(?:show|explain) (?:your|the) (?:reasoning|work|working|steps)\b|\bthink (?:carefully|hard|it through|step)|\bschritt f(?:ü|u)r schritt\b|\b(?:é|e)tape par (?:é|e)tape\b|\bpaso a paso\b|\bpasso (?:a|per) passo\b|\bwork (?:through|out)\b.{0,40}\b(?:every|each|all|possib)|\bwalk me through\b|\blogic puzzle\b|\briddle\b.{0,40}\bsolve|\bpuzzle\b",
    ),
    (
        "analysis",
        r"\banaly[sz]e\w*|\banalysier\w*|\banaliz\w+|\banalisi\b|\banalyse\w*|\bcritical(?:ly)? (?:evaluat|assess|discuss|examin|analy)\w*|%open%(?:evaluate|assess|discuss|compare|contrast|critique|examine|interpret|argue|debate|justify|reflect|investigate|diskutiere|vergleiche|er(?:ö|o)rtere|bewerte|beurteile|discute[rz]?|compare[rz]?|(?:é|e)value|compara|eval(?:ú|u)a|confronta|valuta|discuti|por(?:ó|o)wnaj|vergelijk)\b|[.?!]\s*discuss\b|\bcompare and contrast\b|\bpros and cons\b|\badvantages and disadvantages\b|\bstrengths and weaknesses\b|\bboth sides\b|\bimplications\b|\btrade-?offs?\b|\bvor- und nachteile\b|分析|比較して|(?:П|п)роанализируй|(?:С|с)равни",
    ),
    (
        "consequences",
        r"\b(?:how|what) would\b.{1,80}\b(?:have (?:changed|been|happened)|if|consequences|effects?|happen)\b|\b(?:causes|consequences|long-term effects) of\b.{0,80}\b(?:and|explain|why)\b|\bwhat if\b.{20,}",
    ),
    (
        "long text",
        r"\b%write%\b[^.?!\n]{0,60}\b%work%\b|写一篇|写一个故事|(?:エッセイ|小説|物語|作文|論文)を?書|(?:Н|н)апиши[^.?!\n]{0,40}(?:эссе|рассказ|стать|сочинени|письмо|стих|сказк|план|речь)",
    ),
    (
        "plan",
        r"%open%(?:plan|organi[sz]e|schedule|devise|design|brainstorm|outline|propose|strategi[sz]e|develop|plane|entwirf|entwickle|planifie|organise|planea|planifica|pianifica|organizza)\b|\b(?:\d+|two|three|four|six|ten|twelve)[- ](?:week|day|month|year)s?[- ](?:\w+ )?(?:plan|trip|itinerary|program(?:me)?|schedule)\b",
    ),
];

/// Words that ask for little; they outweigh everything but a proof.
const BRIEF: &str = r"\b(?:in (?:one|two|a (?:single|few|couple)|1|2) (?:short )?(?:sentences?|words?|lines?)|briefly|short answer|one[- ]line(?:r)?|tl;?dr|yes or no|kurz(?: gesagt)?|in einem satz|en une phrase|bri(?:è|e)vement|en una frase|brevemente|in una frase|make it short(?:er)?|haiku|limerick)\b";

static SET: LazyLock<RegexSet> = LazyLock::new(|| {
    let demands = DEMANDS.iter().map(|(_, pattern)| {
        pattern.replace("%open%", OPEN).replace("%work%", WORK).replace("%write%", WRITE)
    });
    compile(demands.chain([BRIEF.to_owned()]))
});

/// The demand for depth that `text` makes, by the first name that fits; `None` when it makes none.
pub(super) fn demand(text: &str) -> Option<&'static str> {
    let found = SET.matches(ends(text.as_bytes()).0);
    let first = (0..DEMANDS.len()).find(|index| found.matched(*index))?;
    let brief = first > 0 && found.matched(DEMANDS.len());
    (!brief).then(|| DEMANDS[first].0)
}
