//! The head of a line: time stamp and level by position, and where the message begins.
