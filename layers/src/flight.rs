//! One piece of work for all who want the same: the first begins it, the others wait for its end.
//!
//! The work is nobody's who waits: whoever began it may leave, and it goes on. The first to [`Flights::join`] gets a
//! [`Pilot`] to hand to a task of its own; when that is dropped, all who wait go on.
//!
//! ```
//! use unigate_layers::flight::Flights;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let flights = Flights::default();
//! let (first, pilot) = flights.join("work");
//! let (second, none) = flights.join("work");
//! assert!(pilot.is_some() && none.is_none());
//! tokio::spawn(async move {
//!     // The work.
//!     drop(pilot);
//! });
//! first.await;
//! second.await;
//! assert!(!flights.is_under_way(&"work"));
//! # }
//! ```

mod board;
#[cfg(test)]
mod model;
mod sync;
#[cfg(test)]
mod tests;

pub use self::board::{Flights, Landing, Pilot};
