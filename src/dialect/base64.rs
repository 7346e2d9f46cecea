//! Base64 as the dialects need it: standard alphabet with padding out, both alphabets with or without padding in.

use ::base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

/// Padding may be missing or short: what is meant is clear all the same.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Standard base64 with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes; `None` for what is not base64. White space and missing padding are forgiven, and both alphabets read.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let standard = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    };
    let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(standard);
    LENIENT.decode(bytes.collect::<Vec<u8>>()).ok()
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
        for text in ["a", "a===", "ab=c", "ab!d", "abc==", "=", "data:"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("-_-_"), decode("+/+/"));
        assert_eq!(decode("QU\nI="), Some(b"AB".to_vec()));
    }
}
