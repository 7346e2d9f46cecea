//! The configuration, as the program takes it from its three sources.

use crate::cli::Home;

#[test]
fn a_misspelt_key_stops_the_program_with_line_caret_and_suggestion() {
    let home = Home::new();
    home.write("config.toml", "[models]\ncodr = \"x\"\n");
    for command in [&["check"][..], &["config", "dump"], &[]] {
        let run = home.run(command);
        assert_eq!(run.status, 64);
        assert_eq!(run.out, "");
        let expected = "config.toml:2:1: models.codr: unknown key \"codr\"; did you mean \"coder\"?\n   |\n 2 | codr = …\n   | ^^^^\n";
        assert_eq!(run.err, expected);
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    home.write("config.toml", "[server]\nhead_s = 1\ndrain_s = 1\nlisten = \"127.0.0.1:1\"\n");
    let env = [("UNIGATE_SERVER__HEAD_S", "2"), ("PORT", "2")];
    let dump = home.run_with(&["config", "dump", "--listen", "127.0.0.1:3"], &env).out;
    for line in ["drain_s = 1\n", "head_s = 2\n", "listen = \"127.0.0.1:3\"\n"] {
        assert!(dump.contains(line), "no {line} in {dump}");
    }
}

#[test]
fn the_dump_gives_the_same_configuration_again() {
    let home = Home::new();
    let env = [("GATEWAY_KEY", "hunter2"), ("OPENAI_API_KEY", "hunter2"), ("CODER_MODEL", "q:7b")];
    let dump = home.run_with(&["config", "dump"], &env).out;
    assert!(!dump.contains("hunter2"), "{dump}");
    home.write("again.toml", &dump);
    assert_eq!(home.run(&["config", "dump", "--config", "again.toml"]).out, dump);
}

#[test]
fn a_listener_open_to_others_without_a_key_does_not_start() {
    let run = Home::new().run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(run.status, 64);
    assert!(run.err.contains("which others can reach, and server.keys is empty"), "{}", run.err);
}

#[test]
fn an_unknown_variable_of_ours_stops_the_program() {
    let run = Home::new().run_with(&["check"], &[("UNIGATE_CACHE__TTL", "1")]);
    assert_eq!(run.status, 64);
    assert!(run.err.contains("did you mean UNIGATE_CACHE__TTL_S?"), "{}", run.err);
}
