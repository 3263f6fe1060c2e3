"""Formulas learned from masks: `fit` writes one, with priors, from a few of them."""

from fdif_dsl.runtime.fitting.fit import Fitted, Hooks, fit

__all__ = ["Fitted", "Hooks", "fit"]
