//! Any client before any upstream, feature by feature: the table that is published, and what holds beyond it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod cell;
mod feature;
mod golden;
mod json;
mod normal;
mod page;
mod round_trips;
mod speakers;
mod steps;

use speakers::SPEAKERS;

#[test]
fn every_cell_is_green_or_explained_and_published() {
    let features = feature::all();
    let mut failed = Vec::new();
    let check = |feature: &_, client: usize, upstream: usize, streamed| {
        cell::check(feature, &SPEAKERS[client], &SPEAKERS[upstream], streamed)
    };
    let page = page::write(&features, check, &mut failed);
    assert!(failed.is_empty(), "{} cells:\n\n{}", failed.len(), failed.join("\n\n"));
    page::compare(&page).unwrap_or_else(|why| panic!("{why}"));
}
