//! A row's values on their way into a statement, or into a record that can wait on disk.

use rusqlite::types::{ToSql, ToSqlOutput, Type, Value, ValueRef};
use rusqlite::{Error, Statement};

/// Takes the values of one row, in the order of the statement's parameters.
pub struct Values<'a>(&'a mut (dyn Target + 'a));

// What takes one value after the other.
trait Target {
    fn put(&mut self, value: ToSqlOutput<'_>) -> rusqlite::Result<()>;
}

struct Parameters<'a, 'c> {
    statement: &'a mut Statement<'c>,
    next: usize,
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl Values<'_> {
    /// Adds the next values: `values.add(params![self.id, self.size])`.
    ///
    /// # Errors
    /// When the statement has no such parameter, or a value has no form in SQLite.
    pub fn add(&mut self, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
        values.iter().try_for_each(|value| self.0.put(value.to_sql()?))
    }
}

impl std::fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").finish_non_exhaustive()
    }
}

/// Executes the statement with these values first, and then those that `bind` adds.
pub(super) fn execute(
    statement: &mut Statement<'_>,
    first: &[&dyn ToSql],
    bind: impl FnOnce(&mut Values<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<usize> {
    // What is not bound below is null, and not what the last row had there.
    statement.clear_bindings();
    let mut parameters = Parameters { statement, next: 1 };
    let mut values = Values(&mut parameters);
    values.add(first)?;
    bind(&mut values)?;
    statement.raw_execute()
}

/// Executes the statement with values that were kept. A statement of another version than theirs has fewer
/// parameters or more: what is too much is left out, what is missing is null.
pub(super) fn execute_kept(
    statement: &mut Statement<'_>,
    values: &[Value],
) -> rusqlite::Result<usize> {
    statement.clear_bindings();
    let room = statement.parameter_count();
    for (at, value) in values.iter().take(room).enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    statement.raw_execute()
}

/// Adds the values that `bind` adds, as bytes.
pub(super) fn encode(
    to: &mut Vec<u8>,
    bind: impl FnOnce(&mut Values<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    bind(&mut Values(&mut Bytes(to)))
}

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// What [`encode`] wrote. `None`: it did not write this.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        bytes = rest;
        values.push(match *tag {
            NULL => Value::Null,
            INTEGER => Value::Integer(i64::from_le_bytes(*take(&mut bytes)?)),
            REAL => Value::Real(f64::from_le_bytes(*take(&mut bytes)?)),
            TEXT | BLOB => {
                let length = u32::from_le_bytes(*take(&mut bytes)?) as usize;
                let (data, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                match *tag {
                    TEXT => Value::Text(String::from_utf8(data.to_vec()).ok()?),
                    _ => Value::Blob(data.to_vec()),
                }
            }
            _ => return None,
        });
    }
    Some(values)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

impl Target for Parameters<'_, '_> {
    fn put(&mut self, value: ToSqlOutput<'_>) -> rusqlite::Result<()> {
        self.statement.raw_bind_parameter(self.next, value)?;
        self.next += 1;
        Ok(())
    }
}

impl Target for Bytes<'_> {
    fn put(&mut self, value: ToSqlOutput<'_>) -> rusqlite::Result<()> {
        let to = &mut self.0;
        let mut data = |tag, data: &[u8]| {
            let length = u32::try_from(data.len());
            let length = length.map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
            to.push(tag);
            to.extend_from_slice(&length.to_le_bytes());
            to.extend_from_slice(data);
            Ok(())
        };
        let value = match &value {
            ToSqlOutput::Borrowed(value) => *value,
            ToSqlOutput::Owned(value) => value.into(),
            _ => return Err(Error::InvalidColumnType(0, "no plain value".into(), Type::Null)),
        };
        match value {
            ValueRef::Text(text) => return data(TEXT, text),
            ValueRef::Blob(blob) => return data(BLOB, blob),
            ValueRef::Null => to.push(NULL),
            ValueRef::Integer(number) => {
                to.push(INTEGER);
                to.extend_from_slice(&number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                to.push(REAL);
                to.extend_from_slice(&number.to_le_bytes());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::params;

    #[test]
    fn what_was_encoded_is_decoded_and_half_of_it_is_not() {
        let mut bytes = Vec::new();
        encode(&mut bytes, |values| {
            values.add(params![None::<i64>, -7, 1.5, "text"])?;
            values.add(params![vec![1_u8, 2]])
        })
        .unwrap();
        let expected = [
            Value::Null,
            Value::Integer(-7),
            Value::Real(1.5),
            Value::Text("text".into()),
            Value::Blob(vec![1, 2]),
        ];
        assert_eq!(decode(&bytes).unwrap(), expected);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_none_or(|values| values.len() < expected.len()));
        }
        assert_eq!(decode(&[9]), None);
    }
}
