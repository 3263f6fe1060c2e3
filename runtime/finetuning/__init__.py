"""Fine-tuning on a user's own labelled images, and what pre-training is worth there.

`finetune` is the entry: a recipe and a folder in, the scores of held-out cases out.
"""

from fdif_dsl.runtime.finetuning.finetune import Hooks, finetune
from fdif_dsl.runtime.finetuning.prepare import Bank, open_data
from fdif_dsl.runtime.finetuning.recipe import Augment, Data, FinetuneRecipe, Train, Validate, finetune_recipes
from fdif_dsl.runtime.finetuning.result import Result

__all__ = ["Augment", "Bank", "Data", "FinetuneRecipe", "Hooks", "Result", "Train", "Validate", "finetune",
           "finetune_recipes", "open_data"]
