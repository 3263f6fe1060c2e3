"""Pre-training on a stream of volumes. Lightning is the engine, the networks are MONAI's.

`pretrain` is the entry; the rest is imported when it runs, so that reading a recipe needs neither.
"""
