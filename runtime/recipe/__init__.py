"""What a data set is made of and how a network is trained on it: a value, and TOML on disk.

No shape, displacement or mapper is named in Python: the paper's choices stand in `paper.toml`,
and whatever a recipe leaves out is taken from there.
"""

from fdif_dsl.runtime.recipe.choices import Choices, resolve
from fdif_dsl.runtime.recipe.recipe import Recipe, as_recipe, recipes
from fdif_dsl.runtime.recipe.rules import OBJECTS
from fdif_dsl.runtime.recipe.sections import SCANNER_STEPS, Augmentation, Monitor, Placement, Scanner, Training

__all__ = ["OBJECTS", "SCANNER_STEPS", "Augmentation", "Choices", "Monitor", "Placement", "Recipe", "Scanner",
           "Training", "as_recipe", "recipes", "resolve"]
