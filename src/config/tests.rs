//! What a configuration comes to, from each of its sources.

#![cfg(feature = "gateway")]

use super::*;
use std::fs;

/// A directory with this `config.toml`, and this environment.
struct Case {
    dir: tempfile::TempDir,
    sources: Sources,
}

fn case(file: Option<&str>, env: &[(&str, &str)]) -> Case {
    let dir = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        fs::write(dir.path().join("config.toml"), text).unwrap();
    }
    let mut sources = Sources { dir: dir.path().to_owned(), ..Sources::default() };
    // So that no file of this machine's user is found.
    sources.env.insert("HOME".into(), dir.path().join("home").to_str().unwrap().into());
    sources.env.extend(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    Case { dir, sources }
}

impl Case {
    fn flag(mut self, path: &str, value: &str) -> Self {
        self.sources.flags.push((path.to_owned(), value.to_owned()));
        self
    }

    fn load(self) -> Result<Loaded, String> {
        Config::load(self.sources).map_err(|error| error.to_string())
    }

    fn config(self) -> Config {
        self.load().unwrap().config
    }

    fn error(self) -> String {
        self.load().unwrap_err()
    }
}

fn from_file(text: &str) -> Case {
    case(Some(text), &[])
}

fn from_env(env: &[(&str, &str)]) -> Case {
    case(None, env)
}

// --- the reference -----------------------------------------------------------------------------

#[test]
fn the_reference_file_is_the_default() {
    let text = include_str!("../../config.toml");
    let file: Config = toml::from_str(text).unwrap();
    assert_eq!(file, Config::default());
    let nothing = Config { log: Log { path: None, ..Log::default() }, ..from_env(&[]).config() };
    assert_eq!(nothing, Config::default());
}

#[test]
fn the_reference_file_shows_every_key() {
    let text = include_str!("../../config.toml");
    let full = Config {
        server: Server {
            allow_manage: Some(true),
            default_upstream: Some("x".into()),
            ..Server::default()
        },
        upstream: [(
            "x".to_owned(),
            Upstream {
                url: Some("u".into()),
                key: Some(SecretRef::env("K")),
                chat: Some("c".into()),
                breaker: Some("b".into()),
                connect_s: Some(1.0),
                first_byte_s: Some(1.0),
                idle_s: Some(1.0),
                total_s: Some(1.0),
                ..Upstream::default()
            },
        )]
        .into(),
        models: Models {
            default: Some("d".into()),
            coder: Some("c".into()),
            small: Some("s".into()),
            ..Models::default()
        },
        route: vec![Rule {
            any: vec!["a".into()],
            regex: vec!["r".into()],
            intent: Some("i".into()),
            min_tokens: Some(1),
            max_tokens: Some(1),
            has: vec!["h".into()],
            header: [("h".to_owned(), "v".to_owned())].into(),
            fallbacks: vec!["f".into()],
            ..Rule::default()
        }],
        cache: Cache {
            redis: Some(SecretUrl::parse("env:R").unwrap()),
            seal: Some(SecretRef::env("S")),
            ..Cache::default()
        },
        log: Log { path: Some("p".into()), ..Log::default() },
        ..Config::default()
    };
    let toml::Value::Table(sections) = toml::Value::try_from(&full).unwrap() else { panic!() };
    for (section, value) in sections {
        let keys = match (section.as_str(), value) {
            ("upstream", toml::Value::Table(all)) => all["x"].as_table().unwrap().clone(),
            ("route", toml::Value::Array(all)) => all[0].as_table().unwrap().clone(),
            ("aliases", _) => toml::Table::new(),
            (_, value) => value.as_table().unwrap().clone(),
        };
        let start = text.find(&format!("[{section}")).unwrap();
        for key in keys.keys() {
            let shown = |line: &str| {
                line.trim_start_matches("# ").split_once(" = ").is_some_and(|(k, _)| k == key)
            };
            assert!(text[start..].lines().any(shown), "{section}.{key} is not shown");
        }
    }
}

#[test]
fn what_is_commented_out_in_the_reference_file_is_right_too() {
    let text = include_str!("../../config.toml");
    let assignment = |line: &str| {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let key = line.split_once(" = ").map_or("", |(key, _)| key).trim_matches('"');
        line.starts_with('[')
            || (!key.is_empty()
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)))
    };
    let all: Vec<&str> = text
        .lines()
        .filter(|line| assignment(line))
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .collect();
    let config = from_file(&all.join("\n")).config();
    assert_eq!(config.upstream["openai"].total_s, Some(1800.0));
    assert_eq!(config.route[0].header["x-team"], "research");
}

// --- the file ----------------------------------------------------------------------------------

#[test]
fn without_any_source_there_is_an_ollama_and_a_log_in_the_home_directory() {
    let case = from_env(&[]);
    let home = case.dir.path().join("home");
    let loaded = case.load().unwrap();
    assert_eq!(loaded.file, None);
    assert_eq!(loaded.config.upstream["ollama"], Upstream::ollama());
    assert_eq!(loaded.config.default_upstream(), Some("ollama"));
    assert_eq!(loaded.config.log.path, Some(home.join(".local/share/unigate/requests.db")));
    let data = from_env(&[("XDG_DATA_HOME", "/data")]).config();
    assert_eq!(data.log.path, Some("/data/unigate/requests.db".into()));
}

#[test]
fn upstreams_of_the_file_replace_the_default_one() {
    let config = from_file("[upstream.groq]\nkey = 'env:GROQ_API_KEY'\n").config();
    assert_eq!(config.upstream.keys().collect::<Vec<_>>(), ["groq"]);
    assert_eq!(config.upstream["groq"].provider, "groq");
    assert_eq!(config.default_upstream(), Some("groq"));
}

#[test]
fn a_misspelt_key_is_shown_with_line_caret_and_suggestion() {
    let error = from_file("[server]\nlisten = '127.0.0.1:1'\n  max_conections = 3\n").error();
    let lines: Vec<&str> = error.lines().collect();
    assert!(
        lines[0].ends_with(
            "config.toml:3:3: server.max_conections: unknown key \"max_conections\"; \
         did you mean \"max_connections\"?"
        ),
        "{error}"
    );
    assert_eq!(lines[1..], ["   |", " 3 |   max_conections = …", "   |   ^^^^^^^^^^^^^^"]);
}

#[test]
fn all_misfits_of_the_file_are_told_at_once_and_in_order() {
    let error = from_file(
        "[server]\nhead_s = 'x'\n[cash]\nttl_s = 1\n[[route]]\nname = 'a'\nmodl = 'm'\n[log]\ndays = -1\n",
    )
    .error();
    let heads: Vec<&str> = error.lines().filter(|l| l.contains("config.toml:")).collect();
    assert_eq!(heads.len(), 4, "{error}");
    for (head, part) in
        heads.iter().zip([":2:10: server.head_s: ", ":3:2: cash: ", "model", ":9:8: log.days: "])
    {
        assert!(head.contains(part), "{head} has no {part}\n{error}");
    }
    assert!(error.contains("did you mean \"cache\"?"), "{error}");
}

#[test]
fn a_syntax_error_is_shown_where_it_is() {
    let error = from_file("[server]\nlisten = 127.0.0.1\n").error();
    assert!(
        error.contains("config.toml:2:") && error.contains(" 2 | listen = 127.0.0.1"),
        "{error}"
    );
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_shown() {
    for text in [
        "[upstream.openai]\nkey = 'sk-12345'\n",
        "[upstream.openai]\nkey = 12345\n",
        "[upstream.openai]\napi_key = 'sk-12345'\n",
        "[server]\nkeys = 'sk-12345'\n",
        "[server]\nkeys = ['env:OK', 'sk-12345']\n",
        "[cache]\nredis = 'sk-12345'\n",
        "[upstream.openai]\nurl = 'https://me:sk-12345@h/v1'\n",
    ] {
        let error = from_file(text).error();
        assert!(!error.contains("12345"), "{error}");
        assert!(error.contains("config.toml:2"), "{error}");
    }
    let error = from_file("[upstream.openai]\nkey = 'sk-12345'\n").error();
    assert!(error.contains("upstream.openai.key: ") && error.contains("\"env:NAME\""), "{error}");
}

#[test]
fn what_makes_no_sense_is_told_all_at_once_with_its_line() {
    let error = from_file(
        "[server]\ndefault_upstream = 'olama'\n[upstream.ollama]\nurl = 'gpu:1'\nchat = 'opnai'\nidle_s = 0\n\
         [[route]]\nname = 'a'\nregex = ['(']\nhas = ['tool']\nintent = 'cod'\nmodel = 'olama/x'\n\
         [[route]]\nname = 'a'\nmin_tokens = 3\nmax_tokens = 2\nmodel = 'auto'\n[retry]\ntries = 0\n",
    )
    .error();
    for part in [
        ":2: server.default_upstream: unknown upstream \"olama\"; did you mean \"ollama\"?",
        ":4: upstream.ollama.url: \"gpu:1\" ",
        ":5: upstream.ollama.chat: unknown dialect \"opnai\"; did you mean \"openai\"?",
        ":6: upstream.ollama.idle_s: ",
        ":9: route[0].regex[0]: \"(\" does not compile: unclosed group",
        ":10: route[0].has[0]: unknown word \"tool\"; did you mean \"tools\"?",
        ":11: route[0].intent: unknown intent \"cod\"; did you mean \"code\"?",
        ":12: route[0].model: unknown upstream \"olama\"; did you mean \"ollama\"?",
        ":14: route[1].name: \"a\" is the name of route[0] too",
        ":15: route[1].min_tokens: 3 is above max_tokens, 2",
        ":17: route[1].model: \"auto\" is what is to be decided here",
        ":19: retry.tries: must be 1 or more",
    ] {
        assert!(error.contains(part), "no {part:?} in\n{error}");
    }
    assert_eq!(error.lines().count(), 12, "{error}");
}

#[test]
fn a_model_with_a_slash_of_its_own_is_no_unknown_upstream() {
    let config = from_file("[models]\ndefault = 'hf.co/org/model'\ncoder = 'ollama/q'\n").config();
    assert_eq!(config.split("hf.co/org/model"), (None, "hf.co/org/model"));
    assert_eq!(config.split("ollama/library/q"), (Some("ollama"), "library/q"));
}

#[test]
fn a_door_open_to_others_needs_a_key() {
    let open = "[server]\nlisten = '0.0.0.0:11435'\n";
    let error = from_file(open).error();
    assert!(error.contains(
        ":2: server.listen: server.listen is 0.0.0.0:11435, which others can reach, and server.keys is \
         empty; set GATEWAY_KEY or server.keys, or listen on 127.0.0.1"
    ), "{error}");
    let config = case(Some(open), &[("GATEWAY_KEY", "k")]).config();
    assert_eq!(config.server.keys, [SecretRef::env("GATEWAY_KEY")]);
    assert!(!config.server.manages());
    assert!(Config::default().server.manages());
}

#[test]
fn an_upstream_that_is_the_gateway_itself_is_refused() {
    let error = from_file("[server]\nlisten = '127.0.0.1:11434'\n").error();
    assert!(
        error.contains("upstream.ollama.url") && error.contains("this gateway itself"),
        "{error}"
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let mut case = from_env(&[("UNIGATE_CONFIG", "none.toml")]);
    assert!(Config::load(case.sources.clone()).unwrap_err().to_string().contains("none.toml"));
    fs::write(case.dir.path().join("some.toml"), "[retry]\ntries = 7\n").unwrap();
    case.sources.path = Some("some.toml".into());
    assert_eq!(case.config().retry.tries, 7);
}

#[test]
fn a_config_toml_of_another_program_is_passed_over() {
    let loaded = from_file("baseURL = 'https://example.org/'\n[params]\n").load().unwrap();
    assert_eq!(loaded.file, None);
    assert!(loaded.notes[0].contains("ignored"), "{:?}", loaded.notes);
    let error = from_file("baseURL = 'x'\n[server]\nlisten = [\n").error();
    assert!(error.contains("config.toml:"), "{error}");
}

#[test]
fn the_file_in_the_home_directory_is_found() {
    let case = from_env(&[]);
    let dir = case.dir.path().join("home/.config/unigate");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("config.toml"), "\u{feff}[retry]\r\ntries = 7\r\n").unwrap();
    let loaded = case.load().unwrap();
    assert_eq!(loaded.config.retry.tries, 7);
    assert_eq!(loaded.file, Some(dir.join("config.toml")));
}

// --- the environment ---------------------------------------------------------------------------

#[test]
fn each_source_is_stronger_than_the_one_before() {
    let file = "[server]\nlisten = '127.0.0.1:1'\nhead_s = 1\ndrain_s = 1\n";
    let env = [("UNIGATE_SERVER__LISTEN", "127.0.0.1:2"), ("UNIGATE_SERVER__HEAD_S", "2")];
    let server = case(Some(file), &env).flag("server.listen", "127.0.0.1:3").config().server;
    assert_eq!((server.listen.as_str(), server.head_s, server.drain_s), ("127.0.0.1:3", 2, 1));
}

#[test]
fn any_key_can_come_from_the_environment() {
    let config = from_env(&[
        ("UNIGATE_LISTEN", "127.0.0.1:9"),
        ("UNIGATE_UPSTREAM__VLLM__URL", "http://gpu:8000/v1"),
        ("UNIGATE_SERVER__ALLOWED_HOSTS", "a.lan,b.lan"),
        ("UNIGATE_LOG__ENABLED", "false"),
        ("UNIGATE_CACHE__TTL_S", ""),
    ])
    .config();
    assert_eq!(config.server.listen, "127.0.0.1:9");
    assert_eq!(config.upstream["vllm"].provider, "vllm");
    assert!(config.upstream.contains_key("ollama"));
    assert_eq!(config.server.allowed_hosts.len(), 2);
    assert!(!config.log.enabled);
    assert_eq!(config.cache.ttl_s, 3600);
}

#[test]
fn an_unknown_variable_of_ours_is_an_error_with_a_suggestion() {
    for (name, meant) in [
        ("UNIGATE_SERVER__LISTN", "UNIGATE_SERVER__LISTEN"),
        ("UNIGATE_SERVR__LISTEN", "UNIGATE_SERVER__LISTEN"),
        ("UNIGATE_SERVER_LISTEN", "UNIGATE_SERVER__LISTEN"),
        ("UNIGATE_LISTN", "UNIGATE_LISTEN"),
        ("UNIGATE_UPSTREAM__OLLAMA__ULR", "UNIGATE_UPSTREAM__OLLAMA__URL"),
    ] {
        let error = from_env(&[(name, "127.0.0.1:1")]).error();
        assert!(error.contains(&format!("{name}: ")), "{error}");
        assert!(error.ends_with(&format!("did you mean {meant}?")), "{error}");
    }
}

#[test]
fn a_problem_names_the_variable_it_came_from() {
    let error = from_env(&[("UNIGATE_RETRY__TRIES", "0"), ("LOG_LEVEL", "loud")]).error();
    assert!(error.contains("retry.tries (from UNIGATE_RETRY__TRIES): must be 1"), "{error}");
    assert!(error.contains("log.level (from LOG_LEVEL): unknown level \"loud\""), "{error}");
    let error = from_env(&[("UNIGATE_RETRY__TRIES", "many")]).error();
    assert!(error.starts_with("UNIGATE_RETRY__TRIES (retry.tries): "), "{error}");
}

#[test]
fn variables_that_describe_a_service_are_passed_over() {
    let loaded = from_env(&[
        ("UNIGATE_SERVICE_HOST", "10.0.0.1"),
        ("UNIGATE_SERVICE_PORT", "11435"),
        ("UNIGATE_PORT", "tcp://10.0.0.1:11435"),
        ("UNIGATE_PORT_11435_TCP_ADDR", "10.0.0.1"),
    ])
    .load()
    .unwrap();
    assert_eq!(loaded.notes.len(), 4);
}

#[test]
fn the_names_of_the_gateway_before_this_one_are_understood() {
    let config = from_env(&[
        ("PORT", "8000"),
        ("DEFAULT_MODEL", "llama3"),
        ("CODER_MODEL", "qwen"),
        ("CHEAP_MODEL", "gemma"),
        ("FALLBACK_MODEL", "openai/gpt-4o-mini"),
        ("OPENAI_API_KEY", "sk"),
        ("TIMEOUT_SECONDS", "90"),
        ("MAX_RETRIES", "2"),
        ("ENABLE_CACHE", "False"),
        ("LOG_LEVEL", "WARNING"),
    ])
    .config();
    assert_eq!(config.server.listen, "127.0.0.1:8000");
    let models = &config.models;
    assert_eq!(models.default.as_deref(), Some("llama3"));
    assert_eq!(models.coder.as_deref(), Some("qwen"));
    assert_eq!(models.small.as_deref(), Some("gemma"));
    assert_eq!(models.fallback, ["openai/gpt-4o-mini"]);
    assert_eq!(config.upstream["openai"].key, Some(SecretRef::env("OPENAI_API_KEY")));
    assert_eq!(config.upstream["openai"].first_byte_s, Some(90.0));
    assert_eq!(config.upstream["ollama"].first_byte_s, Some(90.0));
    assert_eq!(config.retry.tries, 3);
    assert_eq!(config.cache.store, "off");
    assert_eq!(config.log.level, "warn");
}

#[test]
fn redis_url_shares_the_cache_unless_the_store_is_chosen() {
    let config = from_env(&[("REDIS_URL", "redis://:pw@h")]).config();
    assert_eq!(config.cache.store, "redis");
    assert_eq!(config.cache.redis, Some(SecretUrl::parse("env:REDIS_URL").unwrap()));
    let file = Some("[cache]\nstore = 'memory'\n");
    let loaded = case(file, &[("REDIS_URL", "redis://h")]).load().unwrap();
    assert_eq!(loaded.config.cache.store, "memory");
    assert_eq!(loaded.notes, ["REDIS_URL ignored: cache.store is \"memory\""]);
}

#[test]
fn ollama_host_is_the_upstream_unless_it_is_us() {
    let url = |env: &[(&str, &str)]| {
        let loaded = from_env(env).load().unwrap();
        (loaded.config.upstream["ollama"].url.clone().unwrap(), loaded.notes)
    };
    assert_eq!(url(&[("OLLAMA_HOST", "gpu.lan")]).0, "http://gpu.lan:11434");
    assert_eq!(url(&[("OLLAMA_HOST", "0.0.0.0")]).0, "http://127.0.0.1:11434");
    let (same, notes) = url(&[("OLLAMA_HOST", "127.0.0.1:11435")]);
    assert_eq!(same, "http://127.0.0.1:11434");
    assert_eq!(notes, ["OLLAMA_HOST ignored: it points to this gateway (127.0.0.1:11435)"]);
    // What we listen on is only known once every source has spoken.
    let env = [("OLLAMA_HOST", "127.0.0.1:7000")];
    let flagged = from_env(&env).flag("server.listen", "127.0.0.1:7000").load().unwrap();
    assert_eq!(flagged.config.upstream["ollama"].url.as_deref(), Some("http://127.0.0.1:11434"));
    assert_eq!(url(&[("OLLAMA_HOST", "127.0.0.1:8000"), ("PORT", "8000")]).1.len(), 1);
    let both = [("OLLAMA_HOST", "a.lan"), ("OLLAMA_BASE_URL", "http://b.lan:1")];
    assert_eq!(url(&both).0, "http://b.lan:1");
}

#[test]
fn ollama_host_fills_a_gap_and_ollama_base_url_decides() {
    let file = Some("[upstream.ollama]\nurl = 'http://file.lan:11434'\n");
    let url = |name| {
        let loaded = case(file, &[(name, "env.lan:1")]).load().unwrap();
        loaded.config.upstream["ollama"].url.clone().unwrap()
    };
    assert_eq!(url("OLLAMA_HOST"), "http://file.lan:11434");
    assert_eq!(url("OLLAMA_BASE_URL"), "http://env.lan:1");
}

#[test]
fn the_key_of_a_client_of_ours_is_not_taken_for_openais() {
    let env = [("OPENAI_BASE_URL", "http://localhost:11435/v1"), ("OPENAI_API_KEY", "local")];
    let loaded = from_env(&env).load().unwrap();
    assert!(!loaded.config.upstream.contains_key("openai"));
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
    let env = [("OPENAI_BASE_URL", "http://gpu:8000/v1"), ("OPENAI_API_KEY", "k")];
    let config = from_env(&env).config();
    assert_eq!(config.upstream["openai"].url.as_deref(), Some("http://gpu:8000/v1"));
}

#[test]
fn the_variables_of_anthropics_sdk_add_it_unless_they_mean_us() {
    let config = from_env(&[("ANTHROPIC_API_KEY", "sk-ant")]).config();
    let upstream = &config.upstream["anthropic"];
    assert_eq!(upstream.key, Some(SecretRef::env("ANTHROPIC_API_KEY")));
    assert_eq!(upstream.url, None);
    // Claude Code's, pointed at this gateway.
    let env = [("ANTHROPIC_BASE_URL", "http://127.0.0.1:11435"), ("ANTHROPIC_API_KEY", "local")];
    let loaded = from_env(&env).load().unwrap();
    assert!(!loaded.config.upstream.contains_key("anthropic"));
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
    let env = [("ANTHROPIC_BASE_URL", "https://proxy.example"), ("ANTHROPIC_API_KEY", "k")];
    let url = from_env(&env).config().upstream["anthropic"].url.clone();
    assert_eq!(url.as_deref(), Some("https://proxy.example"));
}

// --- the dump ----------------------------------------------------------------------------------

#[test]
fn the_dump_is_a_configuration_again_and_holds_no_secret() {
    let file = "[cache]\nredis = 'redis://u:hunter2@h:6379'\n[upstream.ollama]\n[upstream.openai]\nkey = 'env:K'\n";
    let config = case(Some(file), &[("GATEWAY_KEY", "hunter2")]).config();
    let dump = config.dump();
    assert!(!dump.contains("hunter2"), "{dump}");
    assert!(dump.contains("key = \"env:K\"") && dump.contains("env:GATEWAY_KEY"), "{dump}");
    let again: Config = toml::from_str(&dump).unwrap();
    assert_eq!(again.upstream, config.upstream);
    assert_eq!(again.route, config.route);
    assert!(!format!("{config:?}").contains("hunter2"));
}
