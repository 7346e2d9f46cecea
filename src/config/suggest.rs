//! What someone may have meant: the nearest of the words that would have been right.

/// The candidate nearest to `word`, if it is near enough to be a slip: about one letter in three, in any case.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= word.len().max(candidate.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether two words differ by one slip: a letter missing, extra, wrong, or two swapped.
pub(super) fn is_slip(a: &str, b: &str) -> bool {
    distance(a, b) == 1
}

/// `known: a, b, c`, or `did you mean "a"?` where one is near.
pub(super) fn hint<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    match nearest(word, candidates.clone()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("known: {}", candidates.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// Slips between two words: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            rows[i][j] = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        let keys = ["listen", "keys", "temperature", "max_body_bytes"];
        assert_eq!(nearest("temperture", keys), Some("temperature"));
        assert_eq!(nearest("lisetn", keys), Some("listen"));
        assert_eq!(nearest("MAX_BODY_BYTE", keys), Some("max_body_bytes"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("k", keys), None);
    }

    #[test]
    fn one_slip_is_one_letter_or_one_swap() {
        assert!(is_slip("olama", "ollama") && is_slip("olalma", "ollama"));
        assert!(!is_slip("ollama", "ollama") && !is_slip("lama", "ollama"));
    }
}
