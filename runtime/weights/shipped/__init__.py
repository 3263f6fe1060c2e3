"""Weights that come with the package: NAME.safetensors, as `fdifc export --to hub` writes them. There may be none."""
