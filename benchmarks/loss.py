"""What the loss of a step costs with 10 classes and with 110, beside the network, and beside one-hot Dice.

    python benchmarks/loss.py [ROUNDS]

Four volumes of 32³ with three objects each. All take turns; CPU time on one thread, the least of the rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from monai.losses.dice import DiceLoss
from scanning.network import small_resenc
from torch import nn
from torch.nn import functional

from fdif_dsl.runtime.training.losses import DeepSupervision, DiceAndCrossEntropy
from fdif_dsl.runtime.training.monai_networks import unet

BATCH, SIDE = 4, 32
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "small ResEnc, three outputs": lambda classes: small_resenc(1, classes, 12),
    "`unet`, 16 features": lambda classes: unet(16, classes, (SIDE,) * 3),
}


class OneHot(nn.Module):
    """Dice over the classes that are present, and cross-entropy, with a channel for each class."""

    def __init__(self) -> None:
        super().__init__()
        self.dice = DiceLoss(to_onehot_y=True, softmax=True, reduction="none")

    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        label = label.long()
        dice = self.dice(logits, label).flatten(1)
        present = torch.zeros_like(dice).scatter_(1, label.flatten(1), 1.0)
        mean = (dice * present).sum(1) / present.sum(1)
        return mean.mean() + functional.cross_entropy(logits, label[:, 0])


def labels(classes: int) -> torch.Tensor:
    label = torch.zeros(BATCH, 1, SIDE, SIDE, SIDE, dtype=torch.int64)
    for volume in label[:, 0]:
        for z in range(3):
            volume[10 * z : 10 * z + 8, 8:24, 8:24] = torch.randint(1, classes, ())
    return label


def step(network: nn.Module, loss: nn.Module, label: torch.Tensor) -> tuple[float, float]:
    """Milliseconds of the network and of the loss, each forward and backward."""
    network.zero_grad()
    start = time.process_time()
    output = network(torch.randn(BATCH, 1, SIDE, SIDE, SIDE))
    outputs = output if isinstance(output, list) else [output]
    answers = [o.detach().requires_grad_() for o in outputs]
    middle = time.process_time()
    loss(answers if isinstance(output, list) else answers[0], label).backward()
    end = time.process_time()
    torch.autograd.backward(outputs, [a.grad for a in answers])
    return 1000 * (middle - start + time.process_time() - end), 1000 * (end - middle)


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    losses = {"one-hot": lambda classes: OneHot(),
              "as it is": lambda classes: DiceAndCrossEntropy([classes], present=True)}
    runs = {(name, which, classes): (build(classes), DeepSupervision(make(classes)), labels(classes))
            for name, build in NETWORKS.items() for which, make in losses.items() for classes in (10, 110)}
    times: dict[tuple[str, str, int], list[tuple[float, float]]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(step(*run))
    print("| network | loss | classes | network (ms) | loss (ms) | a step, to that of 10 classes |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (name, which, classes), found in times.items():
        network, loss, whole = (min(part) for part in zip(*((n, x, n + x) for n, x in found), strict=True))
        ten = min(n + x for n, x in times[name, which, 10])
        print(f"| {name} | {which} | {classes} | {network:.0f} | {loss:.1f} | {whole / ten:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
