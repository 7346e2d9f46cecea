use super::*;
use crate::{
    catalog::{Catalog, Listing},
    config::Rule,
    models::{read_list, read_tags},
};
use http::{
    Method,
    uri::{Authority, Scheme},
};

fn catalog() -> Arc<Catalog> {
    let tags = br#"{"models":[
        {"name":"coder:7b","size":7,"digest":"c1","details":{"parameter_size":"7B"},"capabilities":["completion","tools"]},
        {"name":"small:1b","size":1,"digest":"s1","details":{"parameter_size":"1B"},"capabilities":["completion"]},
        {"name":"eyes:8b","size":8,"digest":"e1","details":{"parameter_size":"8B"},"capabilities":["completion","tools","vision"]}
    ]}"#;
    let ollama = Listing { models: read_tags(tags, b"{}"), tagged: true, ..Listing::default() };
    let cloud = read_list(&crate::dialect::openai::OPENAI, br#"{"data":[{"id":"gpt"}]}"#);
    let cloud = Listing { models: cloud, ..Listing::default() };
    let all = [("ollama".into(), ollama), ("cloud".into(), cloud)];
    Arc::new(Catalog::new(all.into(), "ollama", false))
}

fn router(change: impl FnOnce(&mut Config)) -> Router<Arc<Catalog>> {
    let at = |port: &'static str| (Scheme::HTTP, Authority::from_static(port));
    let known = [("ollama".into(), at("a:1")), ("cloud".into(), at("b:2"))];
    let mut config = Config::default();
    change(&mut config);
    Router::new(&config, Addresses::new("ollama", known.into()), catalog()).unwrap()
}

fn decide(router: &Router<Arc<Catalog>>, model: &str, prompt: &Prompt) -> Result<Route, Error> {
    let front = Front::name(&Method::POST, "/v1/chat/completions", &HeaderMap::new());
    let ask = Ask { model: Some(model.into()), stream: false };
    router.decide(front, Some(&ask), || prompt.clone(), &HeaderMap::new())
}

fn prompt(text: &str) -> Prompt {
    Prompt { text: text.into(), bytes: text.len(), messages: 1, ..Prompt::default() }
}

fn model(route: &Route) -> &str {
    route.target.model.as_deref().unwrap()
}

#[test]
fn a_model_that_lacks_what_the_request_needs_gives_way_to_one_that_has_it() {
    let router = router(|_| {});
    let plain = decide(&router, "auto", &prompt("hi")).unwrap();
    assert_eq!((model(&plain), &*plain.decision.rule), ("small:1b", "short"));
    let images = Prompt { images: true, ..prompt("hi") };
    let seeing = decide(&router, "auto", &images).unwrap();
    assert_eq!(model(&seeing), "eyes:8b");
    assert!(seeing.decision.why.contains("small:1b cannot do vision"), "{}", seeing.decision.why);
    let tools = Prompt { tools: true, ..prompt("hi") };
    assert_ne!(model(&decide(&router, "auto", &tools).unwrap()), "small:1b");
}

#[test]
fn a_raw_or_fill_in_prompt_is_never_re_routed() {
    let raw = Prompt { verbatim: true, ..prompt("def f(x):") };
    let route = decide(&router(|_| {}), "auto", &raw).unwrap();
    assert_eq!((model(&route), &*route.decision.rule), ("eyes:8b", "default"));
}

#[test]
fn a_named_model_keeps_its_name_whatever_the_prompt_says() {
    let route = decide(&router(|_| {}), "small:1b", &prompt("write a python function")).unwrap();
    assert_eq!((model(&route), &*route.decision.rule), ("small:1b", "exact"));
    assert!(route.steps.is_empty());
}

#[test]
fn fallbacks_are_pairs_each_once_and_never_the_target_itself() {
    let router = router(|config| {
        config.models.fallback =
            ["small", "cloud/gpt", "small:1b", "cloud/gpt"].map(str::to_owned).to_vec();
    });
    let route = decide(&router, "auto", &prompt("hi")).unwrap();
    let fallbacks: Vec<_> =
        route.fallbacks.iter().map(|t| (&*t.upstream, t.model.as_deref())).collect();
    assert_eq!(fallbacks, [("cloud", Some("gpt"))]);
    let route = decide(&router, "eyes:8b", &prompt("hi")).unwrap();
    assert_eq!(route.fallbacks.len(), 2);
}

#[test]
fn a_rules_own_fallbacks_stand_before_the_common_ones() {
    let router = router(|config| {
        config.models.fallback = vec!["cloud/gpt".into()];
        config.route = vec![Rule {
            name: "all".into(),
            model: "coder".into(),
            fallbacks: vec!["small".into()],
            ..Rule::default()
        }];
    });
    let route = decide(&router, "auto", &prompt("hi")).unwrap();
    assert_eq!(model(&route), "coder:7b");
    assert_eq!(route.fallbacks[0].model.as_deref(), Some("small:1b"));
    assert_eq!(route.fallbacks.len(), 1);
}

#[test]
fn an_alias_may_mean_auto() {
    let router = router(|config| drop(config.aliases.insert("gpt-4o".into(), "auto".into())));
    let route = decide(&router, "GPT-4o", &prompt("hi")).unwrap();
    assert_eq!((model(&route), &*route.decision.rule), ("small:1b", "short"));
}

#[test]
fn configured_models_win_over_picked_ones_and_may_be_elsewhere() {
    let router = router(|config| config.models.small = Some("cloud/gpt".into()));
    let route = decide(&router, "auto", &prompt("hi")).unwrap();
    assert_eq!((&*route.target.upstream, model(&route)), ("cloud", "gpt"));
}

#[test]
fn what_stands_behind_a_name_changes_with_the_models_behind_it() {
    let router = router(|config| drop(config.aliases.insert("mine".into(), "coder:7b".into())));
    assert_eq!(router.standing("coder:7b"), b"c1/");
    assert_eq!(router.standing("mine"), b"/c1/");
    assert_eq!(router.standing("auto"), b"/e1/c1/s1/");
    assert_eq!(router.standing("nothing"), b"/");
}

#[test]
fn virtual_names_are_told_from_real_ones() {
    for (name, rule) in [
        ("auto", Some("")),
        ("AUTO:latest", Some("")),
        ("auto:coder", Some("coder")),
        ("automatic", None),
        ("openrouter/auto", None),
        ("llama3", None),
    ] {
        assert_eq!(virtual_rule(name), rule, "{name}");
    }
}
