use super::*;
use proptest::prelude::*;

fn lines(pieces: &[&[u8]]) -> Vec<Bytes> {
    let (mut cutter, mut out) = (Lines::default(), Vec::new());
    for piece in pieces {
        cutter.push(Bytes::copy_from_slice(piece));
        while let Some(line) = cutter.next() {
            out.push(line.unwrap());
        }
    }
    out.extend(cutter.end());
    out
}

fn events(pieces: &[&[u8]]) -> Vec<Event> {
    let (mut cutter, mut out) = (Events::default(), Vec::new());
    for piece in pieces {
        cutter.push(Bytes::copy_from_slice(piece));
        while let Some(event) = cutter.next() {
            out.push(event.unwrap());
        }
    }
    out.extend(cutter.end());
    out
}

fn data(pieces: &[&[u8]]) -> Vec<String> {
    let text = |event: Event| String::from_utf8(event.data.to_vec()).unwrap();
    events(pieces).into_iter().map(text).collect()
}

#[test]
fn lines_are_cut_at_newlines_and_blank_ones_are_skipped() {
    assert_eq!(lines(&[b"a\n\n  \r\nb", b"c\nd"]), ["a", "bc", "d"]);
}

#[test]
fn a_line_inside_one_piece_is_not_copied() {
    let piece = Bytes::from_static(b"{\"a\":1}\n{\"b\":2}\n");
    let mut cutter = Lines::default();
    cutter.push(piece.clone());
    let first = cutter.next().unwrap().unwrap();
    assert_eq!(first.as_ptr(), piece.as_ptr());
    assert_eq!(cutter.taken(), 8);
}

#[test]
fn an_event_inside_one_piece_is_not_copied() {
    let piece = Bytes::from_static(b"data: {}\r\n\r\n");
    let mut cutter = Events::default();
    cutter.push(piece.clone());
    let event = cutter.next().unwrap().unwrap();
    assert_eq!(event.data.as_ptr() as usize, piece.as_ptr() as usize + 6);
    assert_eq!(cutter.taken(), piece.len());
}

#[test]
fn every_line_end_ends_a_line_of_an_event() {
    for text in ["data: a\ndata: b\n\n", "data: a\r\ndata: b\r\n\r\n", "data: a\rdata: b\r\r"] {
        assert_eq!(data(&[text.as_bytes()]), ["a\nb"], "{text:?}");
    }
}

#[test]
fn what_is_no_data_is_skipped() {
    let stream = b"\xef\xbb\xbfdata:a\n\n: comment\n\nid: 1\nretry: 2\n\ndata\n\ndata:\n\nother: x\ndata:  b\n\n";
    assert_eq!(data(&[stream]), ["a", " b"]);
}

#[test]
fn golden_51_a_bare_error_line_is_an_error() {
    let found = events(&[b"error: {\"code\":400}\n\nevent: error\ndata: x\n\ndata: y\n\n"]);
    let kinds: Vec<_> = found.iter().map(|event| (event.error, event.bare)).collect();
    assert_eq!(kinds, [(true, true), (true, false), (false, false)]);
    assert_eq!(found[0].data, "{\"code\":400}");
}

#[test]
fn golden_77_a_long_line_passes_and_an_endless_one_is_refused() {
    let long = vec![b'x'; 7_900_000];
    assert_eq!(lines(&[&long, b"\n"])[0].len(), 7_900_000);
    let mut cutter = Lines::default();
    let mut refused = false;
    for _ in 0..9 {
        cutter.push(Bytes::from(vec![b'x'; 1024 * 1024]));
        refused |= cutter.next() == Some(Err(TooLong));
    }
    assert!(refused);
    let mut cutter = Events::default();
    let mut refused = false;
    for _ in 0..9 {
        cutter.push(Bytes::from(vec![b'x'; 1024 * 1024]));
        refused |= cutter.next() == Some(Err(TooLong));
    }
    assert!(refused);
}

#[test]
fn many_data_lines_are_one_event_with_a_limit() {
    let mut line = b"data: ".to_vec();
    line.extend(vec![b'x'; 1024 * 1024]);
    line.push(b'\n');
    let mut cutter = Events::default();
    let mut refused = false;
    for _ in 0..9 {
        cutter.push(Bytes::from(line.clone()));
        refused |= cutter.next().is_some_and(|event| event == Err(TooLong));
    }
    assert!(refused);
}

#[test]
fn a_piece_that_was_not_drained_is_not_lost() {
    let mut cutter = Lines::default();
    cutter.push(Bytes::from_static(b"a\nb"));
    cutter.push(Bytes::from_static(b"c\n"));
    assert_eq!(cutter.next().unwrap().unwrap(), "a");
    assert_eq!(cutter.next().unwrap().unwrap(), "bc");
    assert_eq!(cutter.next(), None);
}

fn pieces<'a>(stream: &'a [u8], mut cuts: Vec<usize>) -> Vec<&'a [u8]> {
    cuts.iter_mut().for_each(|cut| *cut %= stream.len() + 1);
    cuts.sort_unstable();
    let mut from = 0;
    let mut out: Vec<&'a [u8]> = Vec::new();
    for cut in cuts {
        out.push(&stream[from..cut]);
        from = cut;
    }
    out.push(&stream[from..]);
    out
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in prop::collection::vec(prop::sample::select(b"\r\n:data er[]{}\xef\xbb\xbf".to_vec()), 0..60),
        cuts in prop::collection::vec(any::<usize>(), 0..10),
    ) {
        let parts = pieces(&stream, cuts);
        prop_assert_eq!(events(&[&stream]), events(&parts));
        prop_assert_eq!(lines(&[&stream]), lines(&parts));
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(events(&[&stream]), events(&single));
    }
}
