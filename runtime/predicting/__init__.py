"""Fine-tuned networks on new images: `predict` is the entry."""

from fdif_dsl.runtime.predicting.predict import Hooks, predict

__all__ = ["Hooks", "predict"]
