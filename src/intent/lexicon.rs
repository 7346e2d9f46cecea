//! The words that the shipped rules know, sorted into classes and phrases.
//!
//! All in lower case; a plural's `s` need not be written. Which classes make a signal together is in `pairs`.

/// A class of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// A language or tool whose name means nothing else.
    Sure,
    /// A language whose name is also something else, but seldom after "in".
    Maybe,
    /// A language whose name is also a place or a substance.
    Place,
    /// A language whose name is an everyday word or a letter.
    Everyday,
    /// What one has in a program; says something only beside a language.
    Thing,
    /// The same, but never to be found beside the everyday meaning of a language's name.
    HardThing,
    /// "in", "with", "using": what stands before the language something is made in.
    In,
    /// What follows a key in music: "C major".
    Music,
    /// To make or mend.
    Make,
    /// A question for the way.
    How,
    /// To bring from one language to another.
    Convert,
    /// "to", "into", "from".
    To,
    /// To write or implement.
    Write,
    /// A piece of code that one can write on its own.
    Routine,
    /// To want, create or write.
    Want,
    /// A thing that may be a program, or a play.
    Program,
    /// What programs deal with, and plays do not.
    Computing,
    /// To implement.
    Implement,
    /// What textbooks have one implement.
    Structure,
    /// To sort, filter, parse.
    Sort,
    /// What is sorted, filtered, parsed.
    Data,
    /// To write, of prose.
    Compose,
    /// What is written at length.
    Work,
    /// "how would", "what if": the beginning of a supposition.
    Would,
    /// What makes a supposition worth thinking about.
    Have,
    /// What may stand before a command: "please", "can you".
    Polite,
    /// What only programs have many of; a question for its way is about code.
    Container,
    /// Derived: a language after "in".
    InSure,
    /// Derived: a language that is also a place or an everyday word, after "in".
    InPlace,
    /// Derived: a language after "to" or "from".
    ToLanguage,
    /// Derived: a program that somebody wants.
    Wanted,
}

/// The bit of a class in `Word::classes`.
pub(super) const fn bit(class: Class) -> u64 {
    1 << class as u8
}

/// The words of each class, parted by spaces.
pub(super) const CLASSES: &[(Class, &str)] = &[
    (
        Class::Sure,
        "javascript typescript ecmascript js ts jsx tsx c++ cpp c# csharp f# golang haskell kotlin php html html5 css css3 scss sql mysql sqlite postgres postgresql bash zsh powershell matlab fortran cobol erlang clojure ocaml elixir vba solidity wasm webassembly nodejs nextjs jquery django fastapi numpy pytorch tensorflow sklearn opencv matplotlib graphql tailwind kubernetes k8s ansible webpack laravel symfony dotnet mongodb nginx yaml toml json cmake gcc clang rustc xpath websocket ffmpeg sqlalchemy hibernate git github gitlab dockerfile systemd jupyter tkinter ggplot ggplot2 dplyr tidyverse streamlit maven gradle prisma axios serde actix rxjs redux mypy pylint jest vitest cypress rabbitmq kafka elasticsearch mariadb dynamodb firestore supabase swiftui flutter webgl sass mvvm grpc protobuf mqtt uuid base64 utf8 ascii nestjs expressjs pyspark keras sympy scipy seaborn plotly ffi llvm gdb valgrind lldb xcode vscode intellij pycharm verilog vhdl opengl cuda glsl raspberrypi esp32 ec2 s3 heroku vercel netlify etl api sdk ide bigquery plsql tsql ejs htmx alpinejs svelte sveltekit nuxt angularjs rspec activerecord wordpress",
    ),
    (
        Class::Maybe,
        "python python3 ruby perl scala lua react docker pandas flask terraform excel vue svelte angular rails prolog redis arduino firebase aws bootstrap godot nodejs assembly jenkins linux unix groovy nim zig",
    ),
    (Class::Place, "java rust julia assembly pascal lisp dart scheme crystal"),
    (Class::Everyday, "go swift c r shell express spring d basic cuda"),
    (
        Class::Thing,
        "function method class classe script program programmer programming code coding snippet loop array list string dict dictionary dictionarie struct enum trait interface module package library librarie decorator generator iterator closure lambda pointer variable exception error query querie test api app application backend frontend component hook parser algorithm implementation compiler interpreter syntax keyword macro template thread import developer dataframe tutorial request crate object field equivalent virtualenv dependency dependencie ownership lifetime generic image container compose repo repository commit branch file server framework course homework assignment beginner funktion funktionen klasse klassen skript programm programme liste fonction boucle fichier classe función funcion funciones clase código codigo funzione funzioni classi codice função funcao funkcja funkcję functie schleife fehler bucle arreglo arreglos vetor tableau словарь список строку массив функцию программу код programa programma tabelle selector route dict migration view controller model widget plot chart button element",
    ),
    (
        Class::HardThing,
        "function struct program programmer programming compiler routine slice channel interface enum closure module script header macro pointer developer array lambda goroutine generic library loop command prompt",
    ),
    (Class::In, "in using with en mit con em avec w av na auf für på на в i"),
    (Class::Music, "major minor sharp flat dur moll"),
    (
        Class::Make,
        "write writing implement create creating build make generate develop code program fix debug port show design rewrite optimize optimise simplify complete finish schreib schreibe schreiben erstelle erstellen programmiere programmieren implementiere implementieren écris ecris écrire écrivez crée créer créez implémente escribe escriba escribir crea crear implementa scrivi scrivere creami napisz stwórz escreva escreve crie schrijf maak skriv lag yaz napiš напиши создай реализуй",
    ),
    (
        Class::How,
        "how wie comment cómo como come why warum pourquoi perché jak what difference unterschied hvordan как почему",
    ),
    (
        Class::Convert,
        "convert converting port translate rewrite migrate migrating transpile turn übersetze übersetzen traduis traduire traduce traducir converti konvertiere convierte перепиши переведи",
    ),
    (Class::To, "to into from nach von en vers de a da in на с"),
    (
        Class::Write,
        "write writing implement implementing add create fix schreib schreibe schreiben programmiere implementiere erstelle écris ecris écrire écrivez crée escribe escriba escribir crea scrivi scrivere napisz escreva crie schrijf skriv lag напиши создай",
    ),
    (
        Class::Routine,
        "function subroutine query decorator parser algorithm makefile funktion funktionen fonction función funcion funzione função funcao funkcja funkcję functie funksjon funktionen consulta abfrage requête функция функцию скрипт програму программу класс testcase endpoint iterator",
    ),
    (
        Class::Want,
        "write writing create creating build make need want give show generate schreib schreibe erstelle bau brauche écris ecris écrire crée créer escribe escribir crea scrivi napisz escreva crie schrijf skriv",
    ),
    (
        Class::Program,
        "script program programm programma programme programa skript app application bot website webpage page plugin extension cronjob workflow tool game crawler scraper job server",
    ),
    (
        Class::Computing,
        "print read parse output file folder directory directorie csv pdf input sort loop count compute calculate rename delete backup database server request url log prime fibonacci fichier archivo datei dateien zahlen ordner carpeta pasta terminal api form login mongodb json user integer number random api timestamp screenshot download upload unzip encrypt email javascript",
    ),
    (Class::Implement, "implement implementing implementiere implementa code write build create"),
    (
        Class::Structure,
        "quicksort mergesort heap stack queue cache trie hashmap allocator tokenizer lexer iterator singleton mutex semaphore debounce throttle dijkstra bfs dfs fizzbuzz palindrome fibonacci matrix calculator crud cli rest",
    ),
    (
        Class::Sort,
        "sort reverse iterate loop filter parse concatenate merge split flatten serialize deserialize deduplicate dedupe append slice sortieren parsen filtern umkehren trier ordenar invertir",
    ),
    (
        Class::Data,
        "array string dict dictionary json tuple dataframe csv hashmap map object column xml yaml vector substring slice wörterbuch cadena chaîne",
    ),
    (
        Class::Container,
        "array dict dataframe hashmap tuple arraylist hashset iterator pointer element substring",
    ),
    (
        Class::Compose,
        "write compose draft create develop design prepare outline tell give invent schreib schreibe schreiben verfasse verfassen erstelle stelle entwirf entwickle erzähl erzähle écris écrire écrivez rédige rédiger compose invente escribe escriba escribir redacta inventa scrivi componi escreva schrijf napisz skriv напиши",
    ),
    (
        Class::Work,
        "essay story storie article speech letter poem sonnet ballad novel chapter screenplay scene dialogue monologue review report plan proposal guide tutorial lesson curriculum syllabus outline blog post thesis dissertation paper eulogy eulogie toast study description portrait biography memoir cycle lyric song fable tale itinerary strategy complaint memo sermon manifesto obituary newsletter play sketch scenario aufsatz geschichte gedicht artikel rede brief bericht trainingsplan konzept roman kurzgeschichte märchen erörterung histoire poème lettre discours conte rédaction nouvelle ensayo cuento historia poema carta discurso informe artículo saggio racconto poesia lettera storia tema articolo redação ensaio conto opstel verhaal rozprawkę opowiadanie wypracowanie эссе рассказ статью сочинение письмо стихотворение сказку план речь",
    ),
    (Class::Would, "would wäre würde serait habría sarebbe"),
    (Class::Have, "have if consequence effect happened wenn hätte"),
    (Class::Polite, "please bitte you me and und then kindly y et e to now first pls"),
];

/// What a phrase speaks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Says {
    /// Code, with a weight that counts in full.
    Code(f32),
    /// Code, but shared with ordinary life: all of these together stay below the threshold.
    PerhapsCode(f32),
    /// Work that a small model does badly.
    Depth,
    /// The same, when it begins a sentence or follows a polite opening.
    DepthAsCommand,
    /// That little is asked for.
    Brief,
}

/// Phrases that say the same.
#[derive(Debug)]
pub(super) struct Phrases {
    pub(super) why: &'static str,
    pub(super) says: Says,
    /// Parted by `|`, their words by spaces; hyphens and apostrophes are spaces here.
    pub(super) words: &'static str,
}

const fn phrases(why: &'static str, says: Says, words: &'static str) -> Phrases {
    Phrases { why, says, words }
}

/// Every phrase that the rules know.
pub(super) const PHRASES: &[Phrases] = &[
    phrases(
        "crash",
        Says::Code(0.6),
        "segfault|seg fault|segmentation fault|core dumped|null pointer|nullpointer|use after free|use after move|double free|undefined behavior|undefined behaviour|memory leak|stacktrace|stack trace|stackoverflow|stack overflow|index out of range|index out of bounds|is not a function|is not defined|is not iterable|not assignable to|maximum recursion|could not be broadcast|eresolve|crashloopbackoff|sigsegv|sigabrt|traceback|unhandled promise|build fails|build failed|won t compile|doesn t compile|does not compile|make it compile|compile this|type mismatch|off by one",
    ),
    phrases(
        "programming term",
        Says::Code(0.5),
        "regex|regexes|regexp|regular expression|regulären ausdruck|regulärer ausdruck|expression régulière|expresión regular|espressione regolare|dockerfile|docker file|docker compose|docker container|docker image|refactor|refactored|refactoring|refaktoriere|unit test|unittest|unit testing|pytest|junit|integration test|leetcode|hackerrank|codewars|advent of code|rest api|restful|api endpoint|api key|api call|graphql|pull request|merge conflict|code review|sql query|sql abfrage|stored procedure|borrow checker|goroutine|async await|mutex|mutexe|pseudocode|pseudo code|source code|quellcode|quelltext|code source|código fuente|codebase|code base|stylesheet|style sheet|for loop|while loop|foreach loop|nested loop|infinite loop|for schleife|while schleife|boucle for|boucle while|bucle for|bucle while|recursive function|recursive call|recursive|time complexity|space complexity|big o|linked list|binary search|binary tree|hash map|hashmap|hash table|lru cache|quick sort|quicksort|merge sort|mergesort|bubble sort|heap sort|depth first search|breadth first search|data structure|github action|gitlab ci|ci pipeline|cors|useeffect|usestate|usememo|useref|usecallback|stdin|stdout|stderr|localhost|environment variable|env variable|env var|left join|right join|inner join|outer join|cross join|full join|primary key|foreign key|database schema|database query|database migration|full table scan|beautifulsoup|beautiful soup|list comprehension|type hint|type annotation|type inference|thread safe|thread safety|excel formula|excel formel|excel macro|google sheet formula|spreadsheet formula|formule excel|vim|neovim|emacs lisp|bash script|shell script|python script|batch script|bash skript|shell skript|syntax error|webhook|middleware|oauth|oauth2|jwt|ci cd|nullable|dependency injection|dynamic programming|int main|command line tool|command line parser|command line argument|command line flag|cli tool|web scraper|web scraping|scrape the title|scrape data|scrape a website|scrape this page|scrape a page|pip install|backend|frontend|garbage collector|garbage collection|dataframe|compile time|runtime error|namespace|openssl|integer overflow|bitwise|lambda function|lambda expression|socket server|headless chrome|debugger|breakpoint|hello world|fizzbuzz|tic tac toe|responsive layout|css grid|flexbox|div|viewport|navbar|dark mode toggle|media query|html page|html form|http client|http server|http request|curl command|cron expression|cronjob|makefile|header file|smart contract|design pattern|singleton pattern|abstract class|interface segregation|generics|event loop|race condition|callback function|callback hell|higher order function|monad|pointer arithmetic|chmod|chown|systemctl|journalctl|crontab|authorized_keys|xargs|rsync|kubectl|awk|package lock|package json|node_module|node_modules|venv|virtualenv|tsconfig|eslint|prettier config|test coverage|code coverage|terraform module|helm chart|k8s manifest|nginx config|reverse proxy|git command|gitignore|connection string|orm|prepared statement|parameterized query|crud|microservice|docker|typescript|stack frame|heap allocation|smart pointer|unique_ptr|shared_ptr|template metaprogramming|class hierarchy|dependency inversion|content security policy|mock a|mock the|my test|the tests|tests pass|tests fail|failing test|key exists|process and a thread|processes and threads|semantic versioning|table or view|o n log n|text editor plugin|command not found|permission denied publickey|no such file or directory|cannot import name|out of memory killer|database connection|connection pool|connection refused|rate limiter|race conditions|dead code|technical debt|feature flag|api gateway|load test|memory address|virtual function|operator overloading|method overloading|function signature|return type|return value|return statement|default argument|named argument|type parameter|type system|type checker|static analysis|package manager|build tool|build script|compile flag|compiler flag|object oriented|functional programming|unicode escape|escape character|trailing comma|newline character|file descriptor|file extension|line break|primary index|text file and|pseudo random|class diagram|uml|optional chaining|type casting|private method|public method|static method|static typing|destructor|polymorphism|boolean|varchar|nullptr|foreach|elif|println|printf|sizeof|malloc|async|linter|linting|status code|http status|access token|refresh token|detached head|merge request|spring boot|endpoint|fetch api|aws lambda|subquery|nosql|left outer|window function|index scan|tcp|udp|websocket|event listener|stateless|idempotent|load balancer|message queue|thread pool|multithreading|multithreaded|concurrency|data type|enum|struct|tuple|dict|dicts|kwarg|args|stack overflow|heap memory|garbage collected|null check|npe|rebase|upstream branch|feature branch|monorepo|lockfile|dependency tree|dependency conflict|breaking change|backtrace|log level|config file|unit tests|test case|test suite|flaky test|regex|two sum|n queen|knapsack|dijkstra|memoization|memoize|tail call|currying|iterable|hashable|serializable|serialize|deserialize|parse json|parser|lexer|abstract syntax tree|bytecode|cross compile|shared library|static library|dll|symlink|stdlib|standard library|css class|css selector|dropdown|modal dialog|html tag|query string|query parameter|url parameter|url encode|http header|user agent|crud app|login form|sign up form|single page app|web app|web application|mobile app|chrome extension|browser extension|discord bot|telegram bot|slack bot|tabla sql|base de datos|datenbank|datenbankabfrage|base de données|banco de dados|programm schreiben|app entwickeln|programming language|programming|programmieren|programmation|programación|programmazione|programação|программирование|rekursion|récursif|récursive|schleife",
    ),
    phrases(
        "code as such",
        Says::Code(0.5),
        "c code|go code|r code|this code|the following code|following code|my code|your code|some code|sample code|example code|clean code|working code|legacy code|the code below|code below|diesen code|diesem code|dieser code|meinen code|meinem code|mein code|ce code|mon code|este código|mi código|tu código|questo codice|mio codice|esse código|meu código|ten kod|mój kod|этот код|мой код|what the code|write code|writing code|write me code|write the code|write a code|generate code|review code|debug code|fix code|fix the code|complete the code|finish the code|optimize the code|code snippet|code example|code sample|code smell|code block|with code|to code a|code me|code a|code up|code challenge|coding challenge|coding interview|coding exercise|schreibe code|schreib code|programmcode",
    ),
    phrases(
        "command for developers",
        Says::Code(0.6),
        "npm install|npm run|npm ci|npm start|npx|yarn add|yarn install|yarn build|pnpm|pip install|pip3 install|cargo build|cargo run|cargo test|cargo add|cargo clippy|apt get|apt install|brew install|poetry add|conda install|conda env|composer require|dotnet build|dotnet run|mvn|gradle|docker build|docker run|docker pull|docker ps|docker exec|podman|kubectl|helm install|terraform plan|terraform apply|go mod|go build|rustup|git commit|git push|git pull|git rebase|git merge|git clone|git checkout|git stash|git log|git diff|git reset|git revert|git bisect|git cherry pick|git blame|git branch|git tag|git status|git fetch|git submodule|git add|git init|last commit|force push|squash commit|interactive rebase",
    ),
    phrases(
        "programming",
        Says::PerhapsCode(0.35),
        "programming|programmer|software|coding|compile|compiled|compiler|compiling|compilation|debug|debugging|algorithm|database|runtime|deploy|deployment|repo|repository|commit|open source|developer|entwickler|développeur",
    ),
    phrases(
        "perhaps a language",
        Says::PerhapsCode(0.25),
        "python|java|rust|ruby|perl|scala|lua|react|docker|panda|flask|terraform|excel|vue|angular|rails|redis|golang|linux|node|unity|aws|azure|firebase",
    ),
    phrases(
        "construct",
        Says::PerhapsCode(0.15),
        "function|method|class|classe|script|loop|module|interface|thread|exception|return|import|null|void|funktion|klasse|fonction|boucle|bucle|keyword",
    ),
    phrases(
        "type of data",
        Says::PerhapsCode(0.2),
        "array|string|integer|boolean|bool|float|tuple|dictionary|variable|pointer|struct|enum|byte|hash|json|csv|xml|http|url|schema|index|parameter|argument|column|element|occurrence|token|session|cookie|request|response|route|server|terminal|compress|encode|decode|array|vector|constructor|immutable|mutable|assert|assertion|callback|linker|parser|await",
    ),
    phrases(
        "mending",
        Says::PerhapsCode(0.15),
        "bug|fix|crash|crashes|fail|failing|error|warning|broken|doesn t work|not working|404|fehler|erreur|debuggen|undefined|invalid",
    ),
    phrases(
        "prove",
        Says::Depth,
        "prove|disprove|proof of|a proof|beweise|beweis|beweisen|démontre|démontrer|démontrez|demuestra|demostrar|dimostra|prouve|prouver|udowodnij|докажи",
    ),
    phrases(
        "derive",
        Says::DepthAsCommand,
        "derive|deduce|integrate|factorize|factorise|solve|show that|löse|résous|resuelve|risolvi|leite|zeige dass",
    ),
    phrases("derive", Says::Depth, "derive the|derivation of|solve this|solve the|find all"),
    phrases(
        "detail",
        Says::Depth,
        "in depth|in detail|in great detail|in more detail|with details|detailed|thorough|thoroughly|comprehensive|comprehensively|exhaustive|exhaustively|extensive|extensively|at length|ausführlich|ausführliche|im detail|detailliert|gründlich|en détail|en profondeur|en detalle|en profundidad|détaillé|détaillée|detallado|detallada|detalladamente|a fondo|in dettaglio|dettagliato|em detalhe|em detalhes|detalhada|szczegółowo|подробно|word essay|word article|lengthy|persuasive",
    ),
    phrases(
        "steps",
        Says::Depth,
        "step by step|reason carefully|reason through|your reasoning|your work|your working|the reasoning|think carefully|think hard|think it through|think through|schritt für schritt|étape par étape|paso a paso|passo a passo|krok po kroku|шаг за шагом|walk me through|logic puzzle",
    ),
    phrases(
        "analysis",
        Says::Depth,
        "analyze|analyse|analyzing|analysiere|analysieren|analiza|analizar|analizza|analise|analisa|проанализируй|critically|compare and contrast|pros and cons|advantages and disadvantages|strengths and weaknesses|both sides|implications|trade offs|tradeoffs|vor und nachteile|avantages et inconvénients|ventajas y desventajas|a thorough|differential diagnosis|play devil s advocate",
    ),
    phrases(
        "analysis",
        Says::DepthAsCommand,
        "evaluate|assess|discuss|consider|determine|elaborate|weigh|compare|contrast|critique|examine|interpret|argue|debate|justify|reflect|investigate|diskutiere|vergleiche|erörtere|bewerte|beurteile|interpretiere|discute|discutez|comparez|évalue|évaluez|compara|evalúa|confronta|valuta|discuti|porównaj|vergelijk|сравни|оцени",
    ),
    phrases(
        "plan",
        Says::DepthAsCommand,
        "plan|organize|organise|devise|brainstorm|outline|propose|strategize|develop|design|entwirf|entwickle|planifie|planea|planifica|pianifica|organizza|спланируй",
    ),
    phrases(
        "plan",
        Says::Depth,
        "training plan|business plan|marketing strategy|lesson plan|study plan|week plan|month plan|day itinerary|trainingsplan|project plan|meal plan",
    ),
    phrases(
        "brevity",
        Says::Brief,
        "in one sentence|in one short sentence|in a sentence|in two sentences|in one word|in a word|in a few words|in one line|in a few sentences|briefly|short answer|one liner|tldr|tl dr|yes or no|kurz|kurz gesagt|in einem satz|en une phrase|brièvement|en una frase|brevemente|in una frase|make it shorter|how long|as long as|so long|long does|long is|long do|long before|no longer|long ago|long should|long can|long will|long time",
    ),
];
