//! What a model's name and size label say, and which name was meant.

/// The longest name that is compared, in characters.
const MAX_NAME: usize = 128;

/// Billions of parameters from a label: `7.6B` is 7.6, `494.03M` is 0.494, `8x7B` is 56, `1T` is 1000.
/// `None` for anything else.
pub fn parameters(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let scale = match unit {
        "t" => 1e3,
        "b" => 1.0,
        "m" => 1e-3,
        "k" => 1e-6,
        _ => return None,
    };
    let (experts, number) = number.split_once('x').unwrap_or(("1", number));
    let count = plain(experts)? * plain(number)? * scale;
    (count > 0.0 && count.is_finite()).then_some(count)
}

/// A number of digits and at most one point.
fn plain(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if digits { text.parse().ok() } else { None }
}

/// Billions of parameters by a model's name: `llama3.1:8b-instruct-q4_0` says 8.
pub(super) fn parameters_in(name: &str) -> Option<f64> {
    base(name)
        .split([':', '-', '_'])
        .skip(1)
        .find_map(|part| parameters(part.trim_start_matches('e')))
}

/// A name in lower case, without host and namespace.
pub(super) fn base(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase()
}

/// The known name that was probably meant by `name`: the same model with another tag first, then the
/// fewest letters apart. `None` when nothing is near: over a third of the letters differ, or the name is
/// empty or longer than 128 characters.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let asked = base(name.trim());
    let length = asked.chars().count();
    if length == 0 || length > MAX_NAME {
        return None;
    }
    let near = known.filter_map(|candidate| {
        let other = base(candidate);
        if other.chars().count() > MAX_NAME || candidate == name {
            return None;
        }
        let (stem, other_stem) = (stem(&asked), stem(&other));
        let apart = if stem == other_stem { 0 } else { distance(stem, other_stem) };
        let short = stem.chars().count().min(other_stem.chars().count());
        // A family that is cut short, or has a suffix more: "qwen" for "qwen3", "llama3" for "llama3-gradient".
        let begins = short >= 3 && (other_stem.starts_with(stem) || stem.starts_with(other_stem));
        (begins || apart * 3 <= stem.chars().count())
            .then(|| (apart, distance(&asked, &other), candidate))
    });
    near.min().map(|(_, _, candidate)| candidate.to_owned())
}

/// A name without its tag.
fn stem(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// How many letters must be put in, left out or changed to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_labels_are_read_in_billions() {
        for (label, billions) in
            [("7.6B", 7.6), ("494.03M", 0.494_03), ("8x7B", 56.0), ("1T", 1000.0), (" 13b ", 13.0)]
        {
            assert!((parameters(label).unwrap() - billions).abs() < 1e-9, "{label}");
        }
    }

    #[test]
    fn what_is_no_label_has_no_parameters() {
        for label in [
            "", "B", "latest", "-7B", "7", "nanb", "infb", "1e3b", "0B", "7.6.1B", "x7b", "8x", "é",
        ] {
            assert_eq!(parameters(label), None, "{label}");
        }
    }

    #[test]
    fn a_name_tells_its_parameters_in_the_tag_or_after_a_dash() {
        for (name, billions) in [
            ("llama3.1:8b-instruct-q4_0", Some(8.0)),
            ("hf.co/someone/Qwen2.5-7B-Instruct-GGUF:Q4_K_M", Some(7.0)),
            ("gemma3n:e4b", Some(4.0)),
            ("mixtral:8x7b", Some(56.0)),
            ("llama3.2:latest", None),
            ("7b", None),
        ] {
            assert_eq!(parameters_in(name), billions, "{name}");
        }
    }

    #[test]
    fn a_missing_model_is_answered_with_its_nearest_relative() {
        let known = ["llama3.2:latest", "qwen2.5-coder:7b", "gemma3:4b", "qwen3:8b"];
        for (asked, meant) in [
            ("llama3.3", Some("llama3.2:latest")),
            ("llama3.2:1b", Some("llama3.2:latest")),
            ("gemma3", Some("gemma3:4b")),
            ("Gemma3:4B", Some("gemma3:4b")),
            ("gema3:4b", Some("gemma3:4b")),
            ("qwen", Some("qwen3:8b")),
            ("qwen2.5-codr", Some("qwen2.5-coder:7b")),
            ("gpt-4o", None),
            ("", None),
        ] {
            assert_eq!(closest(asked, known.into_iter()).as_deref(), meant, "{asked}");
        }
    }

    #[test]
    fn the_same_model_with_another_tag_is_nearer_than_another_model_with_the_same_tag() {
        let known = ["llama3.2:8b", "llama3.1:70b"];
        assert_eq!(closest("llama3.1:8b", known.into_iter()).as_deref(), Some("llama3.1:70b"));
    }

    #[test]
    fn a_name_is_not_closest_to_itself_nor_is_an_endless_one_compared() {
        assert_eq!(closest("a:b", ["a:b"].into_iter()), None);
        assert_eq!(closest(&"a".repeat(129), ["aaa"].into_iter()), None);
    }
}
