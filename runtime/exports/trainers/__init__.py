"""Trainers for nnU-Net. It finds them where the environment variable `nnUNet_extTrainer` names this folder, and imports
each file by its bare name, perhaps in an environment without fdif-dsl; so they import nothing of it."""
