//! The protocol as stories, on a simulated chain.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../suite/mod.rs"]
mod suite;

mod adversarial;
mod announcements;
mod cancelling;
mod cost;
mod creation;
mod deadlines;
mod endings;
mod enrolment;
mod leaving;
mod order_of_errors;
mod paging;
mod plural_proposals;
mod plural_selection;
mod plural_votes;
mod properties;
mod proposals;
mod queries;
mod rounds;
mod secret_ballots;
mod selection;
mod signed_votes;
mod strikes;
