//! The call that a client insists on: an Ollama cannot be told to make one, but it can be told the form of its answer.
//!
//! The form becomes a grammar, so the model can write nothing but a call: `{"name":…,"arguments":{…}}`, read back by
//! [`translate`](crate::translate). The model's template need not know tools for it.

use crate::{
    chat::{Choice, Conversation, Raw, Tool},
    dialect::{
        alike,
        json::{self, Fields},
    },
    error::Error,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

/// What makes a model call a function, in place of tools on offer.
pub(super) struct Forced {
    /// For the system message: which functions there are, and what is expected.
    pub(super) words: String,
    /// For `format`.
    pub(super) schema: Raw,
}

/// Any of these calls. The schemas of the arguments stand apart, because references inside them count from the root.
#[derive(Serialize)]
struct Calls<'a> {
    #[serde(rename = "anyOf")]
    any_of: Vec<Call<'a>>,
    #[serde(rename = "$defs")]
    defs: Defs,
}

#[derive(Serialize)]
struct Call<'a> {
    r#type: &'static str,
    properties: Properties<'a>,
    required: [&'static str; 2],
    #[serde(rename = "additionalProperties")]
    additional: bool,
}

// Source: llama.cpp common/json-schema-to-grammar.cpp: properties are written in the order of the schema.
#[derive(Serialize)]
struct Properties<'a> {
    name: Const<'a>,
    arguments: Ref,
}

#[derive(Serialize)]
struct Const<'a> {
    r#const: &'a str,
}

#[derive(Serialize)]
struct Ref {
    #[serde(rename = "$ref")]
    to: String,
}

struct Defs(Vec<Raw>);

/// How deep references are looked for; the rest of a deeper schema stays as it is.
const MAX_DEPTH: usize = 64;

/// `None` where the client leaves it to the model.
///
/// # Errors
/// [`Error::BadRequest`] where the function that must be called is not on offer.
pub(super) fn forced(conversation: &Conversation) -> Result<Option<Forced>, Error> {
    let mut offered = alike::offered(conversation);
    match &conversation.tool_choice {
        Some(Choice::Required | Choice::Allowed { required: true, .. }) => {}
        Some(Choice::Named(name)) => offered.retain(|tool| tool.name == *name),
        None | Some(Choice::Auto | Choice::None | Choice::Allowed { required: false, .. }) => {
            return Ok(None);
        }
    }
    if offered.is_empty() {
        return Err(Error::BadRequest(match &conversation.tool_choice {
            Some(Choice::Named(name)) => {
                format!("tool_choice must name one of the tools, and {name:?} is none of them")
            }
            _ => "tool_choice must be left out where there are no tools".into(),
        }));
    }
    let calls = Calls {
        any_of: offered.iter().enumerate().map(|(index, tool)| Call::new(index, tool)).collect(),
        defs: Defs(
            offered.iter().enumerate().map(|(index, tool)| arguments(index, tool)).collect(),
        ),
    };
    let schema = serde_json::value::to_raw_value(&calls);
    let schema = schema.map_err(|error| Error::Internal(format!("schema of calls: {error}")))?;
    Ok(Some(Forced { words: words(&offered), schema }))
}

fn words(offered: &[&Tool]) -> String {
    #[derive(Serialize)]
    struct Described<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<&'a RawValue>,
    }
    let mut words = String::from(
        "Answer with one function call and nothing else, as JSON: \
         {\"name\": the function, \"arguments\": {its arguments}}. The functions, with the JSON schema of their \
         arguments:",
    );
    for Tool { name, description, parameters, .. } in offered {
        let (description, parameters) = (description.as_deref(), parameters.as_deref());
        let described = json::bytes(&Described { name, description, parameters });
        words.push('\n');
        words.push_str(&String::from_utf8_lossy(&described));
    }
    words
}

fn place(index: usize) -> String {
    format!("#/$defs/f{index}")
}

/// The schema of a function's arguments, with its references as they must be where it stands now.
fn arguments(index: usize, tool: &Tool) -> Raw {
    let own = tool.parameters.as_deref().map(RawValue::get).filter(|own| own.starts_with('{'));
    let mut text = String::new();
    moved(
        own.unwrap_or(r#"{"type":"object","properties":{}}"#),
        &place(index),
        MAX_DEPTH,
        &mut text,
    );
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Copies a schema whose root has moved to `root`. Ollama refuses a reference that leads nowhere.
fn moved(schema: &str, root: &str, depth: usize, out: &mut String) {
    if depth == 0 || !schema.contains("\"$ref\"") {
        return out.push_str(schema);
    }
    if let Ok(fields) = Fields::body(schema) {
        let mut before = '{';
        for (name, value) in fields.iter() {
            out.push(std::mem::replace(&mut before, ','));
            push(name, out);
            out.push(':');
            let to = json::text(value).filter(|_| name == "$ref");
            match to.as_deref().and_then(|to| to.strip_prefix('#')) {
                Some(to) => push(&format!("{root}{to}"), out),
                None => moved(value.get(), root, depth - 1, out),
            }
        }
        out.push('}');
    } else if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(schema) {
        let mut before = '[';
        for value in list {
            out.push(std::mem::replace(&mut before, ','));
            moved(value.get(), root, depth - 1, out);
        }
        out.push(']');
    } else {
        out.push_str(schema);
    }
}

/// A JSON string.
fn push(text: &str, out: &mut String) {
    out.push_str(&String::from_utf8_lossy(&json::bytes(&text)));
}

// === impl Call ===

impl<'a> Call<'a> {
    fn new(index: usize, tool: &'a Tool) -> Self {
        let properties =
            Properties { name: Const { r#const: &tool.name }, arguments: Ref { to: place(index) } };
        Self { r#type: "object", properties, required: ["name", "arguments"], additional: false }
    }
}

// === impl Defs ===

impl Serialize for Defs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (index, schema) in self.0.iter().enumerate() {
            map.serialize_entry(&format!("f{index}"), schema)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, parameters: Option<&str>) -> Tool {
        let parameters = parameters.map(|text| RawValue::from_string(text.to_owned()).unwrap());
        Tool { name: name.to_owned(), description: None, parameters, strict: None }
    }

    fn conversation(tool_choice: Choice) -> Conversation {
        let pick = r##"{"$defs":{"U":{"enum":["c"]}},"properties":{"u":{"$ref":"#/$defs/U"},"self":{"$ref":"#"}},"anyOf":[{"$ref":"#/$defs/U"}]}"##;
        let tools = vec![tool("pick", Some(pick)), tool("none", None)];
        Conversation { tools, tool_choice: Some(tool_choice), ..Conversation::default() }
    }

    #[test]
    fn a_named_function_is_the_only_form_and_the_only_one_described() {
        let forced = forced(&conversation(Choice::Named("none".into()))).unwrap().unwrap();
        assert_eq!(
            forced.schema.get(),
            r##"{"anyOf":[{"type":"object","properties":{"name":{"const":"none"},"arguments":{"$ref":"#/$defs/f0"}},"required":["name","arguments"],"additionalProperties":false}],"$defs":{"f0":{"type":"object","properties":{}}}}"##
        );
        assert!(forced.words.ends_with("{\"name\":\"none\"}") && !forced.words.contains("pick"));
    }

    #[test]
    fn references_inside_a_schema_still_lead_where_they_led() {
        let forced = forced(&conversation(Choice::Required)).unwrap().unwrap();
        let schema = forced.schema.get();
        assert!(schema.contains(
            r##""f0":{"$defs":{"U":{"enum":["c"]}},"properties":{"u":{"$ref":"#/$defs/f0/$defs/U"},"self":{"$ref":"#/$defs/f0"}},"anyOf":[{"$ref":"#/$defs/f0/$defs/U"}]}"##
        ), "{schema}");
        assert!(forced.words.contains(r##"{"$ref":"#/$defs/U"}"##), "as the client wrote it");
    }

    #[test]
    fn a_function_that_is_not_there_cannot_be_called() {
        let error = |choice| forced(&conversation(choice)).err().unwrap().to_string();
        assert!(error(Choice::Named("x".into())).contains("\"x\""));
        let allowed = Choice::Allowed { required: true, names: vec!["x".into()] };
        assert!(error(allowed).contains("no tools"));
        assert!(forced(&conversation(Choice::Auto)).unwrap().is_none());
    }

    #[test]
    fn a_schema_of_any_depth_is_copied() {
        let deep = format!("{}{{\"$ref\":\"#\"}}{}", "[".repeat(9000), "]".repeat(9000));
        let mut out = String::new();
        moved(&deep, "#/x", MAX_DEPTH, &mut out);
        assert_eq!(out, deep);
    }
}
