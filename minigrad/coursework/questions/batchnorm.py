"""Task 5: BatchNorm forward, in training with its running statistics, and in eval mode."""

from .base import Question
from .batchnorm_mistakes import EVAL, R03, TRAIN_Y
from .batchnorm_rules import batch_norm_eval, batch_norm_train, eval_probes, train_probes
from .batchnorm_running import RUNNING

QUESTIONS = (
    Question(
        "batch_norm_train",
        ("y", "running_mean", "running_var"),
        batch_norm_train,
        train_probes,
        (*TRAIN_Y, *RUNNING),
        may_change=frozenset({"running_mean", "running_var"}),
    ),
    Question(
        "batch_norm_eval",
        ("y",),
        batch_norm_eval,
        eval_probes,
        EVAL,
        changes={"running_mean": R03, "running_var": R03},
    ),
)
