"""The diseases by their names: what each is, why it happens, what helps, and what it explains.

A kind that *explains* others keeps them out of a report: one cause has one name. The order is that
of a report, the gravest first: first what makes every other number meaningless, then what stops
learning at once, then what slows or spoils it.
"""

from dataclasses import dataclass

VANISHING_PAGE = "docs/derivations/vanishing-gradients.md"
BATCHNORM_PAGE = "docs/derivations/batchnorm.md"
LOSS_PAGE = "docs/derivations/softmax-cross-entropy.md"

RATES = ("rate-too-high", "rate-too-low")
SIGNALS = ("vanishing-by-saturation", "vanishing", "exploding", "bottleneck", "collapse")


@dataclass(frozen=True)
class Kind:
    """One disease."""

    means: str
    """What it is, in one sentence."""
    cause: str
    """Why it happens."""
    remedy: str
    """What to change."""
    see: str
    """Where to read on, beside docs/diagnosis.md."""
    explains: tuple[str, ...] = ()
    """The kinds that are its consequences where both are seen."""


KINDS: dict[str, Kind] = {
    "non-finite": Kind(
        "NaN or infinity in the inputs, the parameters, a layer, the loss or a gradient",
        "one operation left the range of the numbers: a division by 0, the logarithm or the square "
        "root of 0, an exponential or a product that is too large. Everything after it is spoilt.",
        "mend the operation that is named: keep its argument away from the edge (log(x + eps), "
        "sqrt(x + eps)), use a loss that takes logits, or clean the data; mg.detect_anomaly() "
        "shows its line.",
        "",
        (*SIGNALS, *RATES, "identical-units", "dead-units", "underflow", "loss-mismatch"),
    ),
    "poisoned-statistics": Kind(
        "NaN or infinity in the running statistics of a BatchNorm",
        "they were loaded, from a checkpoint or another library. There a single batch with a value "
        "that is not finite is enough, as a running average never forgets it (minigrad leaves it "
        "out). Training goes on, because it uses the statistics of the batch; evaluation is NaN.",
        "call reset_running_stats() on the layer and run some clean batches through the model in "
        "training mode; look for the sample that did it.",
        BATCHNORM_PAGE,
        ("stale-statistics", "train-eval-gap"),
    ),
    "no-gradient": Kind(
        "a parameter that no gradient reaches, or that the optimiser does not know",
        "it is frozen, its layer is never called, the graph is cut on the way (detach, no_grad, a "
        "trip through NumPy), or it is missing from the list given to the optimiser.",
        "unfreeze it, call it, take the cut away, or give model.parameters() to the optimiser; if "
        "that is what you want, take the parameter out of the model.",
        "docs/architecture.md",
        ("identical-units",),
    ),
    "accumulating-gradients": Kind(
        "gradients of earlier steps are still there when new ones are added",
        "backward() adds to .grad and does not replace it. Without zero_grad() each step follows "
        "the sum of all gradients since the start, most of them out of date.",
        "call optimizer.zero_grad() once per step, before backward().",
        "docs/coursework-students.md",
        RATES,
    ),
    "loss-mismatch": Kind(
        "the outputs of the model are not what the loss expects",
        "the loss applies its own softmax or sigmoid to logits, or counts on an output for each "
        "class. What has been squashed before cannot become certain again: behind a softmax, "
        "cross_entropy of 10 classes never falls below 1.46.",
        "let the model end in a Linear layer with one output per class, without an activation.",
        LOSS_PAGE,
        RATES,
    ),
    "unscaled-inputs": Kind(
        "inputs that are far from mean 0 and spread 1",
        "the initial weights are made for inputs of about that size. Larger ones saturate or blow "
        "up the first layer, smaller ones leave it idle, and features of different sizes need "
        "different learning rates.",
        "subtract the mean of the training set and divide by its spread, feature by feature; the "
        "same numbers for the test set.",
        "",
    ),
    "identical-units": Kind(
        "units of a layer that start equal, and so stay equal",
        "with the same weights they compute the same, so they get the same gradient, so they stay "
        "the same: the layer is as good as one unit. Constant or zero initial weights do that.",
        "start the weights at random: nn.init.xavier_uniform_ or kaiming_normal_. Zero is right "
        "for biases only.",
        "",
        (*SIGNALS, *RATES, "dead-units"),
    ),
    "dead-units": Kind(
        "ReLU units that are 0 for every sample",
        "the bias, or one step that was too large, has moved them below 0 for all inputs. There "
        "the slope is 0, so no gradient ever moves them back.",
        "start again with biases of 0 and He's weights, a lower learning rate, or LeakyReLU.",
        "",
        (*SIGNALS, *RATES),
    ),
    "batchnorm-in-eval": Kind(
        "a BatchNorm in evaluation mode while the model trains",
        "it divides by running statistics, which nobody updates then, and not by those of the "
        "batch: its backward pass does not hold the gradient up either.",
        "call model.train() before the training steps, and again after each evaluation.",
        BATCHNORM_PAGE,
        (*SIGNALS, *RATES, "stale-statistics", "train-eval-gap", "dead-units"),
    ),
    "batch-too-small": Kind(
        "a BatchNorm that normalises over a handful of values",
        "mean and variance of n values are noise of about sqrt(2/(n-1)) of the variance; of two "
        "values only the sign is left, and no gradient passes; of one there is no variance.",
        "use batches of 16 and more, drop_last=True in the loader, or LayerNorm, which does not "
        "look at the batch.",
        BATCHNORM_PAGE,
        (*SIGNALS, *RATES, "stale-statistics", "train-eval-gap"),
    ),
    "vanishing-by-saturation": Kind(
        "the gradient is lost in units that are shifted into the flat ends of their activation",
        "a large bias, or inputs with a large mean, move the pre-activations to where the slope is "
        "nearly 0. The weights are no larger than usual, so nothing makes up for it.",
        "set the biases to 0 and scale the inputs; BatchNorm before the activation takes any shift "
        "away.",
        VANISHING_PAGE + "#vg-8",
        ("vanishing", "bottleneck", "collapse", "underflow", *RATES),
    ),
    "vanishing": Kind(
        "the gradient shrinks from layer to layer, and not because units are saturated",
        "on its way down a gradient is multiplied, layer by layer, by the slope of the activation "
        "(at most 1/4 for a sigmoid) and by the gain of the weights. Below 1, that is a power of "
        "the depth.",
        "BatchNorm before each activation; or ReLU with He's weights, tanh with Xavier's, residual "
        "connections, fewer layers.",
        VANISHING_PAGE + "#vg-5",
        ("bottleneck", "collapse", "underflow", *RATES),
    ),
    "exploding": Kind(
        "the gradient grows from layer to layer",
        "the gain of the weights times the slopes is above 1, and the depth is its exponent.",
        "He's or Xavier's weights; a normalisation layer; clip_grad_norm_ for a bound on the step.",
        VANISHING_PAGE + "#vg-9",
        RATES,
    ),
    "bottleneck": Kind(
        "one layer in which the signal dies, between others that pass it on",
        "its weights (or the gamma of its BatchNorm) are near 0, so next to nothing comes through, "
        "forwards or backwards.",
        "initialise this layer like the others; a gamma belongs at 1, and not under weight decay.",
        "",
        ("vanishing", "collapse", "underflow", *RATES),
    ),
    "collapse": Kind(
        "to the upper layers all inputs look alike",
        "what tells the samples apart is squeezed into one direction, or is small beside what they "
        "have in common (weights with a mean, constant inputs). The weight gradients have rank 1.",
        "weights of mean 0 (Xavier, He, orthogonal); check that the inputs differ. BatchNorm "
        "cannot bring back directions that are lost.",
        VANISHING_PAGE + "#vg-14",
        ("exploding", *RATES),
    ),
    "underflow": Kind(
        "gradients that are 0 because float16 has no smaller numbers",
        "the smallest number of float16 is 6e-8; what is below becomes 0.",
        "multiply the loss by 1024 or more before backward() and divide the gradients by it, or "
        "train in float32.",
        "docs/gpu.md",
        RATES,
    ),
    "rate-too-high": Kind(
        "steps that overshoot: the loss rises, or stays, where a lower rate brings it down",
        "the step is longer than the slope is valid for.",
        "divide the learning rate by 10 until the loss falls; a warm-up helps at the start.",
        "",
    ),
    "rate-too-low": Kind(
        "steps that hardly move the weights, where a higher rate brings the loss down",
        "the step is a small fraction of a thousandth of the weights.",
        "multiply the learning rate by 10 until the loss falls quickly; 1/1000 of the weights per "
        "step is a usual size.",
        "",
    ),
    "stale-statistics": Kind(
        "running statistics of a BatchNorm that are far from those of the batches",
        "they move by the share `momentum` per training step, so too few steps or too small a "
        "momentum leave them behind. Evaluation then normalises with the wrong numbers.",
        "run more batches through the model in training mode, raise the momentum, or use "
        "momentum=None (the plain average).",
        BATCHNORM_PAGE,
        ("train-eval-gap",),
    ),
    "train-eval-gap": Kind(
        "outputs in evaluation that are not those of training, or not repeatable",
        "dropout that is active in evaluation, or so strong in training that both modes are "
        "different networks.",
        "pass training=self.training to F.dropout, call model.eval(), or lower the dropout rate.",
        "",
        ("exploding", *RATES),
    ),
}
"""All kinds, the gravest first."""

ORDER = {kind: number for number, kind in enumerate(KINDS)}
