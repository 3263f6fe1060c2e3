"""The front end: from `.sdf` files to closed formulas.

`modules` reads files and what they use, `check` finds mistakes in names and types, `elaborate` runs all that can be run
before a point is known.
"""
