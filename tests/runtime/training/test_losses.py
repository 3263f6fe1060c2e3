"""The losses against their formulas written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("monai")

from fdif_dsl.runtime.recipe import Recipe, Training
from fdif_dsl.runtime.recipe.meaning import meaning_of
from fdif_dsl.runtime.training.losses import (
    DeepSupervision,
    DiceAndCrossEntropy,
    VolumeCrossEntropy,
    volume_classes,
)


def by_hand(logits: torch.Tensor, label: torch.Tensor, present: bool) -> torch.Tensor:
    """Dice and cross-entropy of one sample (classes, n) and (n,), from their definitions."""
    chances = logits.double().softmax(0)
    cross = -logits.double().log_softmax(0).gather(0, label[None]).mean()
    dice = []
    for k, chance in enumerate(chances):
        here = (label == k).double()
        if here.any() or not present:
            dice.append(1 - (2 * (chance * here).sum() + 1e-5) / (chance.sum() + here.sum() + 1e-5))
    return cross + torch.stack(dice).mean()


def sample(classes: int, tasks: int = 1, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(classes)
    logits = torch.randn(batch, classes, 3, 4, 5, generator=random)
    label = torch.randint(0, 2, (batch, tasks, 3, 4, 5), generator=random)
    return logits, label


@pytest.mark.parametrize("present", [False, True])
def test_dice_and_cross_entropy(present: bool) -> None:
    logits, label = sample(4)  # the label has classes 0 and 1 only
    expected = sum(float(by_hand(logits[i].flatten(1), label[i].flatten(), present)) for i in range(2)) / 2
    assert float(DiceAndCrossEntropy([4], present)(logits, label)) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(classes=st.lists(st.integers(2, 40), min_size=1, max_size=3), batch=st.integers(1, 3),
       spread=st.sampled_from((0.1, 3.0, 300.0)), present=st.booleans(), seed=st.integers(0, 2**32))
def test_value_and_gradient_are_those_of_the_formulas(
        classes: list[int], batch: int, spread: float, present: bool, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    shape = [int(n) for n in torch.randint(1, 6, (3,), generator=random)]
    label = torch.stack([torch.randint(0, int(torch.randint(1, n + 1, (), generator=random)), (batch, *shape),
                                       generator=random) for n in classes], 1)
    logits = (spread * torch.randn(batch, sum(classes), *shape, generator=random)).requires_grad_()
    loss = DiceAndCrossEntropy(classes, present)(logits, label)
    found, = torch.autograd.grad(loss, logits)
    terms = [by_hand(part[i].flatten(1), label[i, task].flatten(), present)
             for task, part in enumerate(logits.split(classes, 1)) for i in range(batch)]
    expected = torch.stack(terms).mean()
    wanted, = torch.autograd.grad(expected, logits)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_a_gradient_is_not_taken_twice_from_what_the_first_has_overwritten() -> None:
    logits, label = sample(4)
    loss = DiceAndCrossEntropy([4], True)(logits.requires_grad_(), label)
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


def test_monai_means_the_same_by_all_classes() -> None:
    from monai.losses.dice import DiceCELoss

    logits, label = sample(5)
    monai = DiceCELoss(to_onehot_y=True, softmax=True)(logits, label)
    assert float(DiceAndCrossEntropy([5], False)(logits, label)) == pytest.approx(float(monai), rel=1e-6)


def test_a_perfect_answer_loses_nothing_over_present_classes() -> None:
    _, label = sample(6)
    logits = 40.0 * torch.nn.functional.one_hot(label[:, 0], 6).movedim(-1, 1).float()
    assert float(DiceAndCrossEntropy([6], True)(logits, label)) == pytest.approx(0, abs=1e-4)


def test_several_tasks_are_a_mean() -> None:
    logits, label = sample(5, tasks=2)
    parts = [DiceAndCrossEntropy([n], False)(logits[:, a : a + n], label[:, i : i + 1])
             for i, (a, n) in enumerate(((0, 2), (2, 3)))]
    assert float(DiceAndCrossEntropy([2, 3], False)(logits, label)) == pytest.approx(float(sum(parts)) / 2, rel=1e-6)


def test_the_loss_of_a_batch_is_the_mean_of_its_samples() -> None:
    """So the gradient of two processes is that of one with both batches."""
    logits, label = sample(4, batch=3)
    loss = DiceAndCrossEntropy([4], True)
    parts = [float(loss(logits[i : i + 1], label[i : i + 1])) for i in range(3)]
    assert float(loss(logits, label)) == pytest.approx(sum(parts) / 3, rel=1e-6)


def test_deep_supervision_weighs_each_output_half_as_much_as_the_finer() -> None:
    recipe = Recipe(training=Training(dice="all"))
    deep = DeepSupervision.of(recipe, meaning_of("shape", ["a", "b"], [None], ["m"], 2))
    random = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (1, 1, 8, 8, 8), generator=random)
    outputs = [torch.randn(1, 3, s, s, s, generator=random) for s in (8, 4, 2)]
    # Nearest neighbours: of two voxels the one behind the middle.
    labels = [label, label[:, :, 1::2, 1::2, 1::2], label[:, :, 2::4, 2::4, 2::4]]
    plain = DiceAndCrossEntropy([3], False)
    losses = [float(plain(o, y)) for o, y in zip(outputs, labels, strict=True)]
    assert float(deep(outputs, label)) == pytest.approx((losses[0] + losses[1] / 2) / 1.5, rel=1e-4)
    assert float(deep(outputs[0], label)) == pytest.approx(losses[0], rel=1e-6)


def test_the_class_of_a_volume() -> None:
    label = torch.zeros(3, 2, 2, 2, 2, dtype=torch.int64)
    label[0, :, 1, 0, 1] = torch.tensor([4, 1])
    label[2, :, 0] = 2
    assert volume_classes(label).tolist() == [[3, 0], [-1, -1], [1, 1]]
    output: Any = torch.randn(3, 5 + 2, generator=torch.Generator().manual_seed(1))
    expected = 0.0
    for part, target in ((output[:, :5], {0: 3, 2: 1}), (output[:, 5:], {0: 0, 2: 1})):
        expected -= sum(float(part[i].log_softmax(0)[k]) for i, k in target.items()) / 3 / 2
    assert float(VolumeCrossEntropy([5, 2])(output, label)) == pytest.approx(expected, rel=1e-5)
