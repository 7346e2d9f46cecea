//! stub
#[derive(Clone, Debug, Default)]
pub struct Installed { pub name: String, pub parameters: Option<f64>, pub capabilities: Vec<String>, pub family: String, pub remote: bool, pub loaded: bool, pub loaded_bytes: u64, pub size: u64 }
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picks { pub default: String, pub coder: String, pub small: String, pub why: [String;3] }
pub fn pick(models: &[Installed], allow_cloud: bool) -> Option<Picks> { None }
pub fn parameters(text: &str) -> Option<f64> { None }
pub fn able(models: &[Installed], capability: &str, prefer: &str) -> Option<String> { None }
pub fn closest<'a>(name: &str, known: impl Iterator<Item=&'a str>) -> Option<String> { None }
