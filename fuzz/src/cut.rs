//! Cuts a stream into pieces.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The stream cut at these places, in any order; each is taken modulo the length.
pub(crate) fn pieces<'a>(data: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts = cuts.iter().map(|cut| cut % (data.len() + 1)).collect::<Vec<_>>();
    cuts.extend([0, data.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &data[pair[0]..pair[1]]).collect()
}

/// Places that look random and are always the same for the same bytes.
pub(crate) fn places<const N: usize>(data: &[u8]) -> [usize; N] {
    std::array::from_fn(|number| {
        let mut hasher = DefaultHasher::new();
        (number, data).hash(&mut hasher);
        hasher.finish() as usize
    })
}
