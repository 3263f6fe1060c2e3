"""The front end, as `make playground` bundles it; see playground/."""
