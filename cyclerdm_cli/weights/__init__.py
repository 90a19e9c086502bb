"""Weights: which there are, where they lie, and how they become a network. Knows no pictures."""
