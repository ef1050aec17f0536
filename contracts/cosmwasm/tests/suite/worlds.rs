//! The learners of most stories.

/// Three learners; the first one proposes first.
pub const THREE: [&str; 3] = ["ana", "bob", "cy"];
/// Five learners: one proposes and four vote.
pub const FIVE: [&str; 5] = ["ana", "bob", "cy", "dan", "eve"];
