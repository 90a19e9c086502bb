"""Picture in, picture out: on which device, in which precision, tile by tile."""
