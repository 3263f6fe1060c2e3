"""Data sets on disk. Each format is a module with `write`, and a row here."""

FORMATS = {"monai": "fdif_dsl.runtime.datasets.decathlon"}
