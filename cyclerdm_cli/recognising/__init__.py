"""Training of what names damage: the CLIP behind `--task auto` and `--prompt`, and the verdict on trials."""
