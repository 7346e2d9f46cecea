//! Configurations: any text is one or is not, and one that is says the same when it is written down.

use unigate::config::Config;

/// A text that is a configuration can be judged and written, and what was written is the same configuration, as good or
/// as bad.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(config) = toml::from_str::<Config>(text) else { return };
    let problems = config.validate();
    let written = toml::to_string(&config).expect("a configuration can be written");
    let again: Config = toml::from_str(&written).expect("and read");
    // Not the values: a number that is none is not even itself.
    assert_eq!(toml::to_string(&again).as_deref(), Ok(written.as_str()));
    assert_eq!(again.validate(), problems);
    if problems.is_empty() {
        assert!(again.default_upstream().is_some(), "one that can run leads somewhere");
    }
}
