"""TOML files of sections and keys, read by rules: what recipes of every kind have in common.

`form.py` says what a kind of recipe may hold, `reading.py` reads one, `places.py` says where in it a mistake is.
"""
