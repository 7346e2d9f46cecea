use super::*;

const GB: u64 = 1_000_000_000;

fn model(name: &str, billions: f64) -> Installed {
    Installed {
        name: name.into(),
        parameters: Some(billions),
        capabilities: vec!["completion".into()],
        family: "llama".into(),
        size: (billions * BYTES_PER_BILLION) as u64,
        ..Installed::default()
    }
}

fn with(mut model: Installed, capability: &str) -> Installed {
    model.capabilities.push(capability.into());
    model
}

fn loaded(mut model: Installed) -> Installed {
    model.loaded = true;
    model.loaded_bytes = model.size + GB / 2;
    model
}

fn remote(mut model: Installed) -> Installed {
    model.remote = true;
    model
}

fn old(name: &str, family: &str) -> Installed {
    Installed { name: name.into(), family: family.into(), size: 4 * GB, ..Installed::default() }
}

fn embedding(name: &str) -> Installed {
    Installed { capabilities: vec!["embedding".into()], ..model(name, 0.1) }
}

/// Default, coder, small.
fn picked(models: &[Installed]) -> [String; 3] {
    let picks = pick(models, false).unwrap();
    [picks.default, picks.coder, picks.small]
}

#[test]
fn three_kinds_of_models_get_three_kinds_of_work() {
    let models = [
        model("gemma3:4b", 4.3),
        model("qwen2.5-coder:7b", 7.6),
        model("llama3.1:8b", 8.0),
        embedding("nomic-embed-text:latest"),
    ];
    assert_eq!(picked(&models), ["llama3.1:8b", "qwen2.5-coder:7b", "gemma3:4b"]);
}

#[test]
fn the_only_model_is_all_three() {
    assert_eq!(picked(&[model("llama3.2:3b", 3.2)]), ["llama3.2:3b"; 3]);
    assert_eq!(picked(&[model("qwen2.5-coder:7b", 7.6)]), ["qwen2.5-coder:7b"; 3]);
}

#[test]
fn without_a_chat_model_there_is_no_pick() {
    assert_eq!(pick(&[], true), None);
    assert_eq!(pick(&[embedding("all-minilm:latest")], true), None);
    assert_eq!(pick(&[remote(model("gpt-oss:120b-cloud", 120.0))], false), None);
}

#[test]
fn a_cloud_model_is_picked_only_when_allowed() {
    let models = [model("llama3.2:3b", 3.2), remote(model("gpt-oss:120b-cloud", 116.8))];
    assert_eq!(picked(&models), ["llama3.2:3b"; 3]);
    assert_eq!(pick(&models, true).unwrap().default, "gpt-oss:120b-cloud");
}

#[test]
fn a_coder_that_calls_tools_goes_before_a_larger_one_that_does_not() {
    let models = [
        model("llama3.1:8b", 8.0),
        model("codellama:13b", 13.0),
        with(model("qwen2.5-coder:7b", 7.6), "tools"),
    ];
    assert_eq!(picked(&models)[1], "qwen2.5-coder:7b");
}

#[test]
fn coders_are_known_by_their_own_name_and_not_by_their_namespace() {
    for name in [
        "devstral:24b",
        "starcoder2:3b",
        "codestral:22b",
        "deepseek-coder-v2:16b",
        "me/opencoder:8b",
    ] {
        assert!(model(name, 8.0).codes(), "{name}");
    }
    assert!(!model("codeman/llama3:8b", 8.0).codes());
}

#[test]
fn an_embedding_model_for_code_is_no_coder() {
    let models = [model("llama3.2:3b", 3.2), old("nomic-embed-code:7b", "qwen2")];
    assert_eq!(picked(&models), ["llama3.2:3b"; 3]);
}

#[test]
fn without_a_coder_code_goes_to_the_default() {
    let models = [model("gemma3:4b", 4.3), model("llama3.1:8b", 8.0)];
    let picks = pick(&models, false).unwrap();
    assert_eq!((picks.coder.as_str(), picks.small.as_str()), ("llama3.1:8b", "gemma3:4b"));
    assert_eq!(picks.why[1], "no coding model, so the default");
}

#[test]
fn small_has_at_least_a_billion_parameters_where_it_can() {
    let models =
        [model("qwen2.5:0.5b", 0.49), model("llama3.2:1b", 1.2), model("llama3.1:8b", 8.0)];
    assert_eq!(picked(&models)[2], "llama3.2:1b");
    let tiny = [model("smollm:135m", 0.135), model("smollm:360m", 0.36)];
    assert_eq!(picked(&tiny)[2], "smollm:360m");
}

#[test]
fn a_coder_is_not_the_small_model_while_there_is_another() {
    let models = [model("qwen2.5-coder:1.5b", 1.5), model("llama3.1:8b", 8.0)];
    assert_eq!(picked(&models), ["llama3.1:8b", "qwen2.5-coder:1.5b", "llama3.1:8b"]);
}

#[test]
fn among_coders_alone_the_sizes_decide() {
    let models = [model("qwen2.5-coder:1.5b", 1.5), model("qwen2.5-coder:14b", 14.8)];
    assert_eq!(picked(&models), ["qwen2.5-coder:14b", "qwen2.5-coder:14b", "qwen2.5-coder:1.5b"]);
}

#[test]
fn nothing_over_twice_the_size_of_what_is_loaded_is_picked() {
    let models = [
        loaded(model("llama3.1:8b", 8.0)),
        model("gemma3:4b", 4.3),
        model("llama3.3:70b", 70.6),
        model("qwen2.5-coder:7b", 7.6),
        with(model("qwen3-coder:480b", 480.0), "tools"),
    ];
    assert_eq!(picked(&models), ["llama3.1:8b", "qwen2.5-coder:7b", "gemma3:4b"]);
}

#[test]
fn a_loaded_small_model_is_the_default_when_all_others_are_too_large() {
    let models = [loaded(model("llama3.2:1b", 1.2)), model("llama3.3:70b", 70.6)];
    assert_eq!(picked(&models)[0], "llama3.2:1b");
}

#[test]
fn with_nothing_loaded_the_largest_is_the_default() {
    assert_eq!(
        picked(&[model("llama3.2:1b", 1.2), model("llama3.3:70b", 70.6)])[0],
        "llama3.3:70b"
    );
}

#[test]
fn ties_go_to_the_loaded_model_and_then_to_the_first_name() {
    let small = model("llama3.2:1b", 1.2);
    let models = [small.clone(), model("granite:8b", 8.2), loaded(model("llama3.1:8b", 8.0))];
    assert_eq!(picked(&models)[0], "llama3.1:8b");
    let models = [small, model("llama3.1:8b", 8.0), model("granite:8b", 8.2)];
    assert_eq!(picked(&models)[0], "granite:8b");
}

#[test]
fn the_order_of_the_list_does_not_matter() {
    let mut models = vec![
        model("a:8b", 8.0),
        model("b:8b", 8.0),
        model("c-coder:7b", 7.0),
        model("d-coder:7b", 7.0),
        model("e:1b", 1.0),
        model("f:1b", 1.0),
    ];
    let expected = picked(&models);
    for _ in 0..models.len() {
        models.rotate_left(1);
        assert_eq!(picked(&models), expected);
    }
}

#[test]
fn an_old_upstream_that_tells_no_capabilities_still_gets_picks() {
    let models = [
        old("llama3:8b", "llama"),
        old("codellama:7b", "llama"),
        old("phi3:3.8b", "phi3"),
        old("all-minilm:latest", "bert"),
        old("nomic-embed-text:latest", "nomic-bert"),
        old("bge-m3:latest", ""),
        old("mxbai-embed-large:latest", ""),
    ];
    assert_eq!(picked(&models), ["llama3:8b", "codellama:7b", "phi3:3.8b"]);
}

#[test]
fn a_model_without_label_is_judged_by_its_name_and_then_by_its_size() {
    let named = Installed { parameters: None, ..model("mistral:7b", 0.0) };
    assert!((named.billions() - 7.0).abs() < 1e-9);
    let sized = Installed { parameters: None, size: 6 * GB, ..model("custom:latest", 0.0) };
    assert!((sized.billions() - 10.0).abs() < 1e-9);
}

#[test]
fn the_preferred_model_serves_when_it_is_able() {
    let models =
        [with(model("gemma3:4b", 4.3), "vision"), with(model("llava:13b", 13.0), "vision")];
    assert_eq!(able(&models, "vision", "gemma3:4b").as_deref(), Some("gemma3:4b"));
}

#[test]
fn the_largest_able_local_model_serves_where_the_preferred_one_is_not_able() {
    let models = [
        model("llama3.1:8b", 8.0),
        with(model("gemma3:4b", 4.3), "vision"),
        with(model("llava:13b", 13.0), "vision"),
        with(remote(model("qwen3-vl:235b-cloud", 235.0)), "vision"),
    ];
    assert_eq!(able(&models, "vision", "llama3.1:8b").as_deref(), Some("llava:13b"));
    assert_eq!(able(&models, "tools", "llama3.1:8b"), None);
}

#[test]
fn an_able_model_too_large_for_what_is_loaded_still_beats_none() {
    let models = [loaded(model("llama3.2:1b", 1.2)), with(model("llava:34b", 34.0), "vision")];
    assert_eq!(able(&models, "vision", "llama3.2:1b").as_deref(), Some("llava:34b"));
}

#[test]
fn an_old_upstream_is_trusted_with_tools_and_its_names_with_vision() {
    let models = [old("llama3:8b", "llama"), old("llava:7b", "llama")];
    assert_eq!(able(&models, "tools", "llama3:8b").as_deref(), Some("llama3:8b"));
    assert_eq!(able(&models, "vision", "llama3:8b").as_deref(), Some("llava:7b"));
    assert_eq!(able(&models[..1], "vision", "llama3:8b"), None);
}
