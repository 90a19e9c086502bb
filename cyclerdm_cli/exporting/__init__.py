"""Networks as files of other programs' formats."""
