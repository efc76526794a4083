"""The backward walk: visit every node once, after all of its users, and add up what arrives.

This file is the whole of reverse-mode differentiation that is about graphs rather than about
mathematics. It knows nothing of arrays, tensors or operations. A *node* is any object with

* ``order``: a number larger than that of every node it was made from, and 0 for a leaf, which
  was made from none, and
* ``parents``: the nodes it was made from, in the order of its inputs; ``None`` stands for an
  input that needs no gradient.

The chain rule in one line: the gradient of a node is the sum, over its users, of what each user
sends back. So a node may run only when all of its users have run. Nodes are numbered as they are
made, hence *newest first* is such an order, and sorting by number replaces a recursive search:
depth is limited by memory alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, Protocol

next_order = count(1).__next__
"""The clock of the graph: each recorded operation, and each in-place write, takes a number."""


get_order = attrgetter("order")


class Node(Protocol):
    """What the walk asks of a node."""

    order: int
    parents: "Sequence[Node | None]"


def oldest_first(roots: Iterable[Any]) -> list[Any]:
    """All operations that can be reached from ``roots``, each after its parents. Leaves are left
    out: they send nothing on."""
    nodes = list(filter(get_order, roots))
    seen = set(nodes)
    for node in nodes:  # the list grows meanwhile
        for parent in node.parents:
            if parent is not None and parent.order and parent not in seen:
                seen.add(parent)
                nodes.append(parent)
    nodes.sort(key=get_order)
    return nodes


def backpropagate(
    seeds: Mapping[Any, Any],
    pull_back: Callable[[Any, Any], tuple[Any, ...]],
    free: Callable[[Any], None] | None = None,
) -> dict[Any, Any]:
    """Send the gradients ``seeds`` (node -> gradient) down, and return those of the leaves.

    ``pull_back(node, grad)`` is called once per node with the node's total gradient, and returns
    one contribution per parent (``None``: nothing to send). Sums are made out of place, because a
    rule may hand the same array to two parents. ``free(node)`` is called when the node has run.
    """
    grads = dict(seeds)
    nodes = oldest_first(seeds)
    while nodes:
        node = nodes.pop()  # the newest left; popping lets go of it, and so of its memory
        if node not in grads:
            continue
        parents = node.parents
        contributions = pull_back(node, grads.pop(node))
        if free is not None:
            free(node)
        if len(contributions) != len(parents):
            raise ValueError(
                f"{len(contributions)} contributions came back for {len(parents)} parents"
            )
        for i, grad in enumerate(contributions):
            parent = parents[i]
            if parent is not None and grad is not None:
                grads[parent] = grads[parent] + grad if parent in grads else grad
    return grads
