"""Trained networks for whoever wants to go on with them: where they lie, and how they get into a network."""

from fdif_dsl.runtime.weights.load import Pretraining, load_pretrained
from fdif_dsl.runtime.weights.source import read_weights

__all__ = ["Pretraining", "load_pretrained", "read_weights"]
