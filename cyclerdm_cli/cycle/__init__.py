"""The paper: three stages, a sampler, a wavelet, a gain module, and the networks that run them. Knows only torch."""
