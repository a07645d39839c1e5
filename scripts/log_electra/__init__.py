"""LogELECTRA: what training, evaluation and service share.

text      a log line as the model sees it: normaliser, vocabulary, WordPiece
lines     reads logs: plain lines, what `exception-log-collector scan --all --json` prints, labelled sets
training  replaced token detection
model     a trained model: its directory, the one file for the device, scoring
"""
