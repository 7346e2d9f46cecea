//! Base64 as the dialects need it: standard alphabet with padding out, both alphabets with or without padding in.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(char::from(ALPHABET[(word >> (18 - 6 * place)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// The bytes; `None` for what is not base64. White space and missing padding are forgiven, and both alphabets read.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut count, mut padding) = (0u32, 0usize, 0usize);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        word = word << 6 | u32::from(value);
        count += 1;
        if count % 4 == 0 {
            out.extend_from_slice(&word.to_be_bytes()[1..]);
            word = 0;
        }
    }
    match (count % 4, padding) {
        (0, 0) => {}
        (2, 0 | 2) => out.push((word >> 4) as u8),
        (3, 0 | 1) => out.extend_from_slice(&((word >> 2) as u16).to_be_bytes()),
        _ => return None,
    }
    Some(out)
}

/// Little-endian 32-bit floats, as OpenAI sends vectors.
pub(crate) fn encode_floats(floats: &[f32]) -> String {
    encode(&floats.iter().flat_map(|float| float.to_le_bytes()).collect::<Vec<_>>())
}

/// The other way; `None` for what is not whole floats.
pub(crate) fn decode_floats(text: &str) -> Option<Vec<f32>> {
    let bytes = decode(text)?;
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Source: ollama openai/openai_encoding_format_test.go.
    #[test]
    fn golden_65_floats_become_the_text_that_ollama_gives() {
        assert_eq!(encode_floats(&[0.1, -0.2, 0.3]), "zczMPc3MTL6amZk+");
        assert_eq!(encode_floats(&[0.5, 0.6]), "AAAAP5qZGT8=");
        assert_eq!(decode_floats("zczMPc3MTL6amZk+"), Some(vec![0.1, -0.2, 0.3]));
    }

    #[test]
    fn what_goes_in_comes_out() {
        for length in 0..70u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            let text = encode(&bytes);
            assert_eq!(text.len() % 4, 0);
            assert_eq!(decode(&text).as_deref(), Some(&bytes[..]));
            assert_eq!(decode(text.trim_end_matches('=')), Some(bytes));
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["a", "a===", "ab=c", "ab!d", "abc==", "=", "ab=", "data:"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("-_-_"), decode("+/+/"));
        assert_eq!(decode("QU\nI="), Some(b"AB".to_vec()));
    }
}
