//! The common tongue: requests and answers in OpenAI's shapes, as plain structs.

use crate::dialect::{Operation, Usage};
