"""What is asked in each task: the inputs, the right rule, and the wrong rules that people write."""

from . import (
    batchnorm,
    batchnorm_backward,
    batchnorm_eval,
    batchnorm_steps,
    convolution,
    cross_entropy,
    finale,
    linear,
    operation,
    sgd,
    sigmoid,
    unbroadcast,
    walk,
)
from .base import Question

QUESTIONS: dict[str, Question] = {
    question.name: question
    for module in (
        sigmoid,
        linear,
        unbroadcast,
        cross_entropy,
        batchnorm,
        batchnorm_steps,
        batchnorm_backward,
        batchnorm_eval,
        sgd,
        walk,
        operation,
        finale,
        convolution,
    )
    for question in module.QUESTIONS
}
"""By the name of the function or class that the student writes."""
