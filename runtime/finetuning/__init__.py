"""Fine-tuning on a user's own labelled images, and what pre-training is worth there.

`finetune` is the entry: a recipe and a folder in, the scores of held-out cases out. `compare` does the same with the
weights and without them. `classify` and `compare_classified` do it for the volumes of MedMNIST.
"""

from fdif_dsl.runtime.finetuning.bootstrap import Difference
from fdif_dsl.runtime.finetuning.classification import classify, compare_classified
from fdif_dsl.runtime.finetuning.data.preprocessing import Bank, open_data
from fdif_dsl.runtime.finetuning.recipe import Augment, Data, FinetuneRecipe, Train, Validate, finetune_recipes
from fdif_dsl.runtime.finetuning.results import ClassComparison, Classified, Comparison, Result
from fdif_dsl.runtime.finetuning.runs import Hooks
from fdif_dsl.runtime.finetuning.segmentation import compare, finetune

__all__ = ["Augment", "Bank", "ClassComparison", "Classified", "Comparison", "Data", "Difference", "FinetuneRecipe",
           "Hooks", "Result", "Train", "Validate", "classify", "compare", "compare_classified", "finetune",
           "finetune_recipes", "open_data"]
