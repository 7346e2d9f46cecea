//! Every field of every request in the files, replaced by something else.

use super::{asked, others};
use crate::{feature, json::Json, speakers::SPEAKERS};
use proptest::prelude::*;
use std::sync::LazyLock;
use unigate::dialect::Operation;

/// Where a value stands: keys, and places in lists.
type Path = Vec<Step>;

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Place(usize),
}

const INSTEAD: [&str; 9] =
    ["null", "1", "-0.5", "\"x\"", "\"\"", "[]", "{}", "true", "[[\"x\",null,{\"x\":1}]]"];

fn paths(of: &Json, at: &Path, all: &mut Vec<Path>) {
    let steps: Vec<(Step, &Json)> = match of {
        Json::Object(fields) => {
            fields.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect()
        }
        Json::List(items) => {
            items.iter().enumerate().map(|(place, value)| (Step::Place(place), value)).collect()
        }
        Json::Plain(_) | Json::Text(_) => Vec::new(),
    };
    for (step, value) in steps {
        let mut path = at.clone();
        path.push(step);
        paths(value, &path, all);
        all.push(path);
    }
}

fn replaced(body: &Json, path: &[Step], with: &Json) -> Json {
    let Some((step, rest)) = path.split_first() else { return with.clone() };
    match (body, step) {
        (Json::Object(fields), Step::Key(key)) => Json::Object(
            fields
                .iter()
                .map(|(name, value)| match name == key {
                    true => (name.clone(), replaced(value, rest, with)),
                    false => (name.clone(), value.clone()),
                })
                .collect(),
        ),
        (Json::List(items), Step::Place(place)) => Json::List(
            items
                .iter()
                .enumerate()
                .map(|(at, value)| match at == *place {
                    true => replaced(value, rest, with),
                    false => value.clone(),
                })
                .collect(),
        ),
        _ => body.clone(),
    }
}

/// Asks; a refusal must be a 400 that names a field on the way to what is wrong.
fn tried(operation: Operation, client: usize, request: &Json, body: &Json, path: &Path) {
    let client = &SPEAKERS[client];
    let (right, text) = (request.compact(), body.compact());
    for upstream in others(client) {
        if asked(client, upstream, operation, right.as_bytes()).is_err() {
            continue;
        }
        let Err(error) = asked(client, upstream, operation, text.as_bytes()) else { continue };
        assert_eq!(error.status().as_u16(), 400, "{error}: {text}");
        let said = super::words(client, &client.dialect.error(&error, "r1"));
        let on_the_way = |step: &Step| matches!(step, Step::Key(key) if said.contains(&**key));
        let (from, to) = (client.name, upstream.name);
        // Or that what is wrong was to be paired with something, or that nothing is left of the whole.
        let whole = said.contains("tool call") || said.contains("must say something");
        let named = path.iter().any(on_the_way) || whole;
        assert!(named, "{from} to {to}: {said:?}, {path:?} in {text}");
    }
}

/// The requests in the files, each with whose it is and what it asks for.
fn requests() -> &'static [(Operation, usize, Json)] {
    static ALL: LazyLock<Vec<(Operation, usize, Json)>> = LazyLock::new(all);
    &ALL
}

fn all() -> Vec<(Operation, usize, Json)> {
    let mut all = Vec::new();
    for feature in feature::all() {
        for (at, speaker) in SPEAKERS.iter().enumerate() {
            if let Some(request) = feature.said("request", speaker) {
                all.push((feature.operation(), at, Json::read(&request).unwrap()));
            }
        }
    }
    all
}

#[test]
fn any_field_of_another_type_is_named_or_accepted() {
    for &(operation, client, ref request) in requests() {
        let mut all = Vec::new();
        paths(request, &Vec::new(), &mut all);
        for path in all {
            for instead in INSTEAD {
                let instead = Json::read(instead.as_bytes()).unwrap();
                let body = replaced(request, &path, &instead);
                tried(operation, client, request, &body, &path);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_two_fields_exchanged_are_named_or_accepted(
        which in any::<prop::sample::Index>(),
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let requests = requests();
        let (operation, client, request) = which.get(requests);
        let mut all = Vec::new();
        paths(request, &Vec::new(), &mut all);
        let (to, from) = (one.get(&all), other.get(&all));
        let value = from.iter().fold(request, |value, step| match (value, step) {
            (Json::List(items), Step::Place(place)) => &items[*place],
            (value, Step::Key(key)) => value.at(key),
            (value, Step::Place(_)) => value,
        });
        tried(*operation, *client, request, &replaced(request, to, value), to);
    }

    #[test]
    fn a_request_that_is_cut_anywhere_is_refused_or_read(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        let requests = requests();
        let (operation, client, request) = which.get(requests);
        let text = request.compact();
        let cut = &text.as_bytes()[..at.index(text.len())];
        for upstream in others(&SPEAKERS[*client]) {
            let error = asked(&SPEAKERS[*client], upstream, *operation, cut).unwrap_err();
            prop_assert_eq!(error.status().as_u16(), 400);
        }
    }
}
