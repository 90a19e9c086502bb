"""Measuring: the sets of the field, its metrics and conventions, comparisons, and a report to look at."""
