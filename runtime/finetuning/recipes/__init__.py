"""The built-in recipes of fine-tuning, as TOML."""
