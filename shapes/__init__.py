"""The standard library: `.sdf` files, read as data. No Python here knows a shape."""
