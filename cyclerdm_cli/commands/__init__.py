"""One file a command: options into dataclasses, words to standard error, data to standard output."""
