"""The paper: three stages, samplers, a wavelet, and the networks that run them. Knows only torch."""
