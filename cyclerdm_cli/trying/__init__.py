"""Tasks tried on one picture, and the page that shows them."""
