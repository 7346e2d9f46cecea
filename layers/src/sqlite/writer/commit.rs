//! One transaction: what was spooled, the batch, and the open rows.

use super::Writer;
use crate::sqlite::judge::judge;
use crate::sqlite::spool::Kept;
use crate::sqlite::{Row, values};
use rusqlite::TransactionBehavior;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Spooled rows that are brought in with one transaction.
const REPLAY: usize = 512;

// What became of a batch.
pub(super) struct Done {
    rows: u64,
    rejected: u64,
    replayed: u64,
    replay_rejected: u64,
    kept: Option<Kept>,
    next: u64,
}

impl<R: Row> Writer<R> {
    pub(super) fn commit(&mut self) -> Result<Done, Box<dyn std::error::Error>> {
        self.connect()?;
        let kept = match self.spool.load().0 {
            0 => None,
            _ => self.oldest_spooled()?,
        };
        let Some(open) = &mut self.open else { return Err("the log is not open".into()) };
        let connection = &mut open.connection;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = Instant::now();
        let mut done =
            Done { rows: 0, rejected: 0, replayed: 0, replay_rejected: 0, kept: None, next: 0 };
        {
            let mut insert = transaction.prepare(R::INSERT)?;
            for row in kept.iter().flat_map(|kept| &kept.rows) {
                match judge(|| values::execute_kept(&mut insert, row))? {
                    true => done.replayed += 1,
                    false => done.replay_rejected += 1,
                }
            }
            for entry in &self.batch {
                match judge(|| values::execute(&mut insert, &[], |to| entry.row.bind(to)))? {
                    true => done.rows += 1,
                    false => done.rejected += 1,
                }
                // In the same transaction: nobody sees both, or neither.
                if let Some(ticket) = entry.ticket {
                    self.running.end(ticket);
                }
            }
        }
        done.next = self.running.write::<R>(&transaction, self.process, now)?;
        transaction.commit()?;
        done.kept = kept;
        Ok(done)
    }

    fn oldest_spooled(&mut self) -> std::io::Result<Option<Kept>> {
        match self.spool.oldest(REPLAY) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                let rows = self.spool.clear();
                tracing::error!(rows, "spooled rows were changed by somebody else and are lost");
                self.shared.abandoned.fetch_add(rows, Ordering::AcqRel);
                self.load_spool();
                Ok(None)
            }
            kept => kept.map(Some),
        }
    }

    pub(super) fn wrote(&mut self, done: Done) {
        self.healed();
        self.running.written(done.next);
        if let Some(kept) = done.kept {
            self.spool.forget(&kept);
            self.load_spool();
            let rejected = done.replay_rejected + kept.unreadable;
            self.shared.rejected.fetch_add(rejected, Ordering::AcqRel);
        }
        self.shared.rejected.fetch_add(done.rejected, Ordering::AcqRel);
        self.shared.written.fetch_add(done.rows + done.replayed, Ordering::AcqRel);
        let bytes: usize = self.batch.iter().map(|entry| entry.bytes).sum();
        self.checkpoint.wrote(bytes as u64);
        self.tidy.batch();
        self.panics = 0;
        self.tell(true);
    }
}
