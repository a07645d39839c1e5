//! Fingerprints: the same on every host and after every restart.
