//! Replaced in a moment.
