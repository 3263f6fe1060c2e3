"""An upper abdomen in two contrasts, to fine-tune on: it shares no code and no formula with fdif-dsl.

`anatomy.py` makes tissues, `imaging.py` makes an image of them, `dataset.py` writes cases as a user would have them.
"""
