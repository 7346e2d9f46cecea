//! Rows that could not be written to the database, kept beside it until they can.
//!
//! The file is a sequence of records: length and CRC-32 of what follows, 4 bytes each, then the values. Records are
//! appended whole; what a crash left of the last one is cut off. The file is also the lock by which one process at a
//! time knows that the log's leftovers are its own to bring in.

use super::values;
use rusqlite::types::Value;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

const HEAD: usize = 8;
// A record that says it is longer is none: the queue would not have taken the row.
const MAX_RECORD: usize = 1 << 28;
// Read at a time.
const CHUNK: u64 = 1 << 20;

pub(super) struct Spool {
    path: PathBuf,
    max_bytes: u64,
    file: Option<File>,
    // What is in the file, from where it is still to be read.
    end: u64,
    start: u64,
    rows: u64,
}

/// The oldest records, and how far they reach.
pub(super) struct Kept {
    pub(super) rows: Vec<Vec<Value>>,
    // Records that have the right sum but were written by nothing that is known here.
    pub(super) unreadable: u64,
    until: u64,
}

impl Spool {
    /// For this database. Touches nothing yet.
    pub(super) fn beside(database: &std::path::Path, max_bytes: u64) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".spool");
        Self { path: path.into(), max_bytes, file: None, end: 0, start: 0, rows: 0 }
    }

    /// Opens the file and takes the lock, unless that is done. Whether the leftovers of the log are ours: not while
    /// another process has the lock, but where files cannot be locked or the folder cannot be written.
    pub(super) fn own(&mut self) -> bool {
        match self.open() {
            Ok(()) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        if self.max_bytes == 0 {
            return Err(Error::new(ErrorKind::Unsupported, "rows are not spooled"));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let (end, rows) = scan(&mut file)?;
        let length = file.metadata()?.len();
        if length > end {
            let (path, bytes) = (self.path.display(), length - end);
            tracing::warn!(%path, bytes, "the end of the spooled rows is broken and is cut off");
            file.set_len(end)?;
        }
        (self.file, self.end, self.start, self.rows) = (Some(file), end, 0, rows);
        Ok(())
    }

    /// Rows in the file that are still to be brought in, and its bytes.
    pub(super) fn load(&self) -> (u64, u64) {
        (self.rows, self.end)
    }

    /// Appends records made by [`record`], all of them or none.
    pub(super) fn append(&mut self, records: &[u8], rows: u64) -> io::Result<()> {
        self.open()?;
        let Some(file) = &mut self.file else { return Err(ErrorKind::NotFound.into()) };
        let end = self.end + records.len() as u64;
        if end > self.max_bytes {
            return Err(Error::new(ErrorKind::StorageFull, "the spool has its size"));
        }
        file.seek(SeekFrom::Start(self.end))?;
        if let Err(error) = file.write_all(records) {
            // Half a record must not stand before the next one.
            let _ = file.set_len(self.end);
            return Err(error);
        }
        self.end = end;
        self.rows += rows;
        Ok(())
    }

    /// Reads the oldest records, at most `limit`.
    pub(super) fn oldest(&mut self, limit: usize) -> io::Result<Kept> {
        let mut kept = Kept { rows: Vec::new(), unreadable: 0, until: self.start };
        let Some(file) = self.file.as_mut().filter(|_| self.rows > 0) else { return Ok(kept) };
        file.seek(SeekFrom::Start(self.start))?;
        let mut bytes = Vec::new();
        file.take(CHUNK.min(self.end - self.start)).read_to_end(&mut bytes)?;
        if let Some(Err(needed)) = next(&bytes)
            && self.start + (needed as u64) <= self.end
        {
            // One record that is longer than what is read at a time.
            file.seek(SeekFrom::Start(self.start))?;
            bytes.clear();
            file.take(needed as u64).read_to_end(&mut bytes)?;
        }
        let mut rest = &bytes[..];
        while kept.rows.len() < limit
            && let Some(Ok(payload)) = next(rest)
        {
            match values::decode(payload) {
                Some(values) => kept.rows.push(values),
                None => kept.unreadable += 1,
            }
            rest = &rest[HEAD + payload.len()..];
            kept.until += (HEAD + payload.len()) as u64;
        }
        if kept.until == self.start {
            // Somebody else wrote to the file since it was opened.
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(kept)
    }

    /// These records are in the database.
    pub(super) fn forget(&mut self, kept: &Kept) {
        self.start = kept.until;
        self.rows = self.rows.saturating_sub(kept.rows.len() as u64 + kept.unreadable);
        if self.start >= self.end || self.rows == 0 {
            self.clear();
        }
    }

    /// Gives up what is in the file. Returns how many rows that were.
    pub(super) fn clear(&mut self) -> u64 {
        if let Some(file) = &self.file {
            // If this fails the rows are brought in again at the next start, and replace themselves.
            let _ = file.set_len(0);
        }
        (self.start, self.end) = (0, 0);
        std::mem::take(&mut self.rows)
    }
}

/// Adds a row to what [`Spool::append`] takes.
pub(super) fn record(
    to: &mut Vec<u8>,
    bind: impl FnOnce(&mut super::Values<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let head = to.len();
    to.extend_from_slice(&[0; HEAD]);
    if let Err(error) = values::encode(to, bind) {
        to.truncate(head);
        return Err(error);
    }
    let payload = &to[head + HEAD..];
    let (length, sum) = (payload.len() as u32, crc32fast::hash(payload));
    to[head..head + 4].copy_from_slice(&length.to_le_bytes());
    to[head + 4..head + HEAD].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

// The payload of the first record; how many bytes it would take, if it is not all there; nothing, if it is broken.
fn next(bytes: &[u8]) -> Option<Result<&[u8], usize>> {
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Some(Err(HEAD)) };
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (length, sum) = (number(0) as usize, number(4));
    if length > MAX_RECORD {
        return None;
    }
    let Some(payload) = rest.get(..length) else { return Some(Err(HEAD + length)) };
    (crc32fast::hash(payload) == sum).then_some(Ok(payload))
}

// Where the last whole record ends, and how many there are.
fn scan(file: &mut File) -> io::Result<(u64, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = io::BufReader::with_capacity(CHUNK as usize, file);
    let (mut end, mut rows) = (0, 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        (&mut reader).take(HEAD as u64).read_to_end(&mut bytes)?;
        if let Some(Err(needed)) = next(&bytes)
            && needed > HEAD
        {
            (&mut reader).take((needed - HEAD) as u64).read_to_end(&mut bytes)?;
        }
        match next(&bytes) {
            Some(Ok(payload)) if !payload.is_empty() => {
                end += (HEAD + payload.len()) as u64;
                rows += 1;
            }
            _ => return Ok((end, rows)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::params;

    fn text(rows: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for row in rows {
            record(&mut bytes, |values| values.add(params![row])).unwrap();
        }
        bytes
    }

    fn read(kept: &Kept) -> Vec<&str> {
        let text = |row: &Vec<Value>| match row.as_slice() {
            [Value::Text(text)] => text.as_str().to_owned().leak() as &str,
            other => panic!("{other:?}"),
        };
        kept.rows.iter().map(text).collect()
    }

    #[test]
    fn rows_are_read_in_their_order_and_gone_when_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut spool = Spool::beside(&path, 1 << 20);
        spool.append(&text(&["a", "b"]), 2).unwrap();
        spool.append(&text(&["c"]), 1).unwrap();
        drop(spool);
        let mut spool = Spool::beside(&path, 1 << 20);
        assert!(spool.own());
        assert_eq!(spool.load().0, 3);
        let kept = spool.oldest(2).unwrap();
        assert_eq!(read(&kept), ["a", "b"]);
        spool.forget(&kept);
        spool.append(&text(&["d"]), 1).unwrap();
        let kept = spool.oldest(9).unwrap();
        assert_eq!(read(&kept), ["c", "d"]);
        spool.forget(&kept);
        assert_eq!(spool.load(), (0, 0));
        assert_eq!(std::fs::metadata(folder.path().join("log.db.spool")).unwrap().len(), 0);
    }

    #[test]
    fn at_every_cut_the_whole_records_before_it_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let whole = text(&["first", "second", "third"]);
        let each = whole.len() / 3;
        for cut in 0..whole.len() {
            let path = folder.path().join(format!("{cut}.db"));
            std::fs::write(folder.path().join(format!("{cut}.db.spool")), &whole[..cut]).unwrap();
            let mut spool = Spool::beside(&path, 1 << 20);
            assert!(spool.own());
            let expected =
                (1..=3).filter(|n| text(&["first", "second", "third"][..*n]).len() <= cut);
            assert_eq!(spool.load().0 as usize, expected.count(), "cut at {cut} of {each} each");
            // And the next one is readable behind them.
            spool.append(&text(&["next"]), 1).unwrap();
            assert_eq!(*read(&spool.oldest(9).unwrap()).last().unwrap(), "next");
        }
    }

    #[test]
    fn a_record_with_another_sum_ends_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut bytes = text(&["good", "bad", "lost"]);
        let at = text(&["good"]).len() + HEAD + 5;
        bytes[at] ^= 1;
        std::fs::write(folder.path().join("log.db.spool"), bytes).unwrap();
        let mut spool = Spool::beside(&path, 1 << 20);
        assert!(spool.own());
        assert_eq!(read(&spool.oldest(9).unwrap()), ["good"]);
    }

    #[test]
    fn it_has_a_size_and_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut spool = Spool::beside(&path, 30);
        spool.append(&text(&["a"]), 1).unwrap();
        assert_eq!(spool.append(&text(&["a", "b"]), 2).unwrap_err().kind(), ErrorKind::StorageFull);
        let mut other = Spool::beside(&path, 30);
        assert!(!other.own());
        assert!(other.append(&text(&["x"]), 1).is_err());
        drop(spool);
        assert!(other.own());
        assert_eq!(read(&other.oldest(9).unwrap()), ["a"]);
    }

    #[test]
    fn a_record_longer_than_what_is_read_at_a_time_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(3 << 20);
        let mut spool = Spool::beside(&folder.path().join("log.db"), 16 << 20);
        spool.append(&text(&[&long, "y"]), 2).unwrap();
        let kept = spool.oldest(9).unwrap();
        assert_eq!(read(&kept), [long.as_str()]);
        spool.forget(&kept);
        assert_eq!(read(&spool.oldest(9).unwrap()), ["y"]);
    }
}
