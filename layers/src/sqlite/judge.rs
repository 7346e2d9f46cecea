//! Whether it is the row that is wrong, or the file.

use rusqlite::ErrorCode;
use std::panic::{AssertUnwindSafe, catch_unwind};

// Whether a row was taken. What the table or the statement refuses is the row's own fault, and would be refused for
// ever. Anything else (locked, full, gone, broken, a table missing) may be over after a while.
pub(super) fn judge(put: impl FnOnce() -> rusqlite::Result<usize>) -> rusqlite::Result<bool> {
    match catch_unwind(AssertUnwindSafe(put)) {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) if is_outage(&error) => Err(error),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a log row was refused");
            Ok(false)
        }
        Err(_) => {
            tracing::warn!("a log row panicked");
            Ok(false)
        }
    }
}

fn is_outage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    let refused = matches!(
        code,
        Some(
            ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
        )
    );
    code.is_some() && !refused
}
