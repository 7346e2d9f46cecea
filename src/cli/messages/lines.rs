//! A writer that never waits: lines go to a thread, and are dropped and counted while it cannot keep up.
//!
//! What stderr leads to may stop reading (a pipe that is full, a terminal that is paused). A write would then block the
//! thread it is made on, and every request with it.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};
use tracing_subscriber::fmt::MakeWriter;

/// The near end of the way to the thread. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Tells when everything before it is written.
    Flush(SyncSender<()>),
}

/// Lines that may wait.
const QUEUE: usize = 1024;

/// Bytes of one line; what is longer is cut.
const LONGEST: usize = 16 * 1024;

impl Lines {
    /// Starts a thread that writes to `out`, and says by `notice` how many lines were dropped as soon as it can again.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(super) fn to(
        out: impl Write + Send + 'static,
        notice: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let lost = dropped.clone();
        std::thread::Builder::new()
            .name("messages".to_owned())
            .spawn(move || write(&lines, &lost, out, notice))?;
        Ok(Self { queue, dropped })
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was said before is written, at most this long. Blocks the thread.
    pub(super) fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let (tell, told) = sync_channel(1);
        let mut flush = Message::Flush(tell);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(flush) {
            if Instant::now() >= end {
                return;
            }
            flush = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = told.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut kept = line.get(..LONGEST).unwrap_or(line).to_vec();
        if kept.len() < line.len() {
            kept.push(b'\n');
        }
        if self.queue.try_send(Message::Line(kept)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

fn write(
    lines: &Receiver<Message>,
    dropped: &AtomicU64,
    mut out: impl Write,
    notice: impl Fn(u64) -> String,
) {
    let mut told = 0;
    while let Ok(message) = lines.recv() {
        // There is nobody to tell that it cannot be told.
        match message {
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
        let lost = dropped.load(Ordering::Relaxed);
        if lost > told {
            let _ = out.write_all(notice(lost - told).as_bytes());
            told = lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// Whether it is open, and what went through.
    type Taken = (bool, Vec<u8>);

    /// Takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Pipe(Arc<(Mutex<Taken>, Condvar)>);

    impl Pipe {
        fn open(&self) {
            self.0.0.lock().unwrap().0 = true;
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().1.clone()).unwrap()
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.0.lock().unwrap();
            while !state.0 {
                state = self.0.1.wait(state).unwrap();
            }
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_writes_never_waits_and_what_is_dropped_is_counted_and_told() {
        let pipe = Pipe::default();
        let lines = Lines::to(pipe.clone(), |lost| format!("{lost} lost\n")).unwrap();
        for number in 0..5000 {
            (&lines).write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        let dropped = lines.dropped();
        // One may be with the thread already.
        assert!(dropped >= 5000 - 1025, "{dropped}");
        let begun = Instant::now();
        lines.flush(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody waits for ever");
        pipe.open();
        lines.flush(Duration::from_secs(30));
        (&lines).write_all(b"again\n").unwrap();
        lines.flush(Duration::from_secs(30));
        let text = pipe.text();
        assert!(text.starts_with("line 0\n") && text.ends_with("again\n"), "{text}");
        assert!(text.contains(&format!("{dropped} lost\n")), "{text}");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let pipe = Pipe::default();
        pipe.open();
        let lines = Lines::to(pipe.clone(), |lost| format!("{lost} lost\n")).unwrap();
        (&lines).write_all(&vec![b'x'; 1 << 20]).unwrap();
        lines.flush(Duration::from_secs(30));
        assert_eq!(pipe.text().len(), LONGEST + 1);
    }
}
