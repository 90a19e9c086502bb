"""How much each colour counts in what people see as brightness."""

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in luma (ITU-R BT.601), of values that are gamma-encoded."""
