//! What words say beside each other: "Python" and "function", "write" and "essay".

use super::{
    lexicon::{Class, Class::*, bit},
    words::Word,
};

/// What a pair speaks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Means {
    /// Code, with its weight.
    Code(f32),
    /// Work that a small model does badly.
    Depth,
    /// Nothing yet; the second word gets a class that other pairs look for.
    Class(Class),
}

/// Two classes of words in one sentence, the second at most `within` words after the first.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) why: &'static str,
    pub(super) means: Means,
    first: u64,
    within: usize,
    then: u64,
}

const fn pair(why: &'static str, means: Means, first: u64, within: usize, then: u64) -> Pair {
    Pair { why, means, first, within, then }
}

const LANGUAGE: u64 = bit(Sure) | bit(Maybe) | bit(Place) | bit(Everyday);

/// Every pair, those that give classes before those that look for them.
pub(super) const PAIRS: &[Pair] = &[
    pair("", Means::Class(InSure), bit(In), 1, bit(Sure) | bit(Maybe)),
    pair("", Means::Class(InPlace), bit(In), 1, bit(Place) | bit(Everyday)),
    pair("", Means::Class(ToLanguage), bit(To), 1, LANGUAGE),
    pair("", Means::Class(Wanted), bit(Want), 6, bit(Program)),
    pair("language + construct", Means::Code(0.6), bit(Sure), 3, bit(Thing)),
    pair("language + construct", Means::Code(0.6), bit(Maybe) | bit(Place), 2, bit(Thing)),
    pair("language + construct", Means::Code(0.6), bit(Everyday), 1, bit(HardThing)),
    pair("language + construct", Means::Code(0.6), bit(Thing), 9, bit(InSure) | bit(InPlace)),
    pair("made in a language", Means::Code(0.5), bit(Make) | bit(How), 15, bit(InSure)),
    pair("made in a language", Means::Code(0.35), bit(Make) | bit(How), 15, bit(InPlace)),
    pair("from language to language", Means::Code(0.6), bit(Convert), 15, bit(ToLanguage)),
    pair("asks for a function", Means::Code(0.5), bit(Write), 6, bit(Routine)),
    pair("asks for a program", Means::Code(0.5), bit(Wanted), 14, bit(Computing)),
    pair("asks for a classic", Means::Code(0.5), bit(Implement), 5, bit(Structure)),
    pair("works on data", Means::Code(0.5), bit(Sort), 4, bit(Data)),
    pair("works on data", Means::Code(0.35), bit(How) | bit(Make), 12, bit(Container)),
    pair("long text", Means::Depth, bit(Compose), 11, bit(Work)),
    pair("supposition", Means::Depth, bit(Would), 12, bit(Have)),
];

/// Calls `found` with the index of each pair that `words` hold. Linear; forgets at each sentence's end.
pub(super) fn pairs(words: &[Word], mut found: impl FnMut(usize)) {
    // The position of the last word of each class, plus one.
    let mut last = [0_usize; 64];
    for (at, word) in words.iter().enumerate() {
        let mut classes = word.classes;
        if classes == 0 {
            continue;
        }
        let next = words.get(at + 1).filter(|next| next.sentence == word.sentence);
        if next.is_some_and(|next| next.classes & bit(Music) != 0) {
            classes &= !LANGUAGE;
        }
        for (index, pair) in PAIRS.iter().enumerate() {
            if pair.then & classes != 0 && near(words, &last, at, pair) {
                if let Means::Class(class) = pair.means {
                    classes |= bit(class);
                } else {
                    found(index);
                }
            }
        }
        each_bit(classes, |class| last[class] = at + 1);
    }
}

fn near(words: &[Word], last: &[usize; 64], at: usize, pair: &Pair) -> bool {
    let mut close = false;
    each_bit(pair.first, |class| {
        close |= last[class].checked_sub(1).is_some_and(|first| {
            at - first <= pair.within && words[first].sentence == words[at].sentence
        });
    });
    close
}

fn each_bit(mut bits: u64, mut each: impl FnMut(usize)) {
    while bits != 0 {
        each(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}
