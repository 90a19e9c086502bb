"""Making weights: photographs in, degradations on the fly, one file of weights out."""
