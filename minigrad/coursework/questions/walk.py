"""Task 9: the walk over the graph, each node after all of its users, contributions added up.

A graph is ``parents[node]`` = the nodes it was made from, in the order of its inputs, and
``slopes[node]`` = the derivative with respect to each of them. Nodes carry random numbers, so that
their numbers say nothing about their order. In most of the graphs there is only one right order,
and so a wrong walk gives the same wrong numbers whoever writes it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...backend import Array
from .base import Inputs, Question, table

Graph = list[list[tuple[int, float]]]  # node -> (parent, slope) for each input

CHAIN = 1500
LADDER = 26


def shared_operand() -> Graph:
    """y = x x at x = 3."""
    return [[], [(0, 3.0), (0, 3.0)]]


def diamond() -> Graph:
    """a = 2x, b = a + 1, c = a a, y = b + c at x = 3; b's only other user comes before c."""
    return [[], [(0, 2.0)], [(1, 1.0)], [(1, 6.0), (1, 6.0)], [(2, 1.0), (3, 1.0)]]


def sums() -> Graph:
    """y = (a + b) + a: a sum hands the same gradient to both of its inputs."""
    return [[], [], [(0, 1.0), (1, 1.0)], [(2, 1.0), (0, 1.0)]]


def skipping() -> Graph:
    """Each node uses the one before it, and one long before: a single right order."""
    graph: Graph = [[]]
    for i in range(1, 9):
        inputs = [(i - 1, 1.0 if i % 3 else -0.7)]
        if i > 1:
            inputs.append(((i * i) % (i - 1), 1.0 if i % 2 else 1.3))
        graph.append(inputs if i % 4 else inputs[::-1])
    return graph


def chain() -> Graph:
    """Deeper than Python's recursion goes."""
    return [[], *([(i, 1.0 if i % 2 else -1.0)] for i in range(CHAIN))]


def ladder() -> Graph:
    """Two edges from each node to the one before: 2^26 paths, 27 nodes."""
    return [[], *([(i, 0.5), (i, 0.25)] for i in range(LADDER))]


def unreached() -> Graph:
    """Node 2 uses x, but the result does not use node 2."""
    return [[], [(0, 1.5)], [(0, 2.5), (1, 1.0)], [(1, -2.0), (0, 0.5)]]


def probes(rng: np.random.Generator) -> list[Inputs]:
    """Each graph with its nodes renumbered."""
    found = []
    graphs = [shared_operand(), diamond(), sums(), skipping(), unreached(), ladder(), chain()]
    for graph in graphs:
        n = len(graph)
        names = [int(k) for k in rng.permutation(n)]
        parents: list[list[int]] = [[] for _ in graph]
        slopes: list[list[float]] = [[] for _ in graph]
        for node, inputs in zip(names, graph, strict=True):
            parents[node] = [names[p] for p, _ in inputs]
            slopes[node] = [slope for _, slope in inputs]
        found.append(
            {
                "root": names[-1],
                "seed": rng.uniform(1, 2, 2),
                "parents": parents,
                "slopes": slopes,
            }
        )
    return found


def oldest_first(root: int, parents: list[list[int]]) -> list[int]:
    """Every node that root was made from, each after its parents."""
    order: list[int] = []
    seen = {root}
    stack = [(root, iter(parents[root]))]
    while stack:
        node, rest = stack[-1]
        for parent in rest:
            if parent not in seen:
                seen.add(parent)
                stack.append((parent, iter(parents[parent])))
                break
        else:
            order.append(node)
            stack.pop()
    return order


def backpropagate(
    root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]
) -> Array:
    """The gradient of every node, as rows; 0 for those that root does not use."""
    grads = np.zeros((len(parents), len(seed)))
    grads[root] = seed
    for node in reversed(oldest_first(root, parents)):
        for parent, slope in zip(parents[node], slopes[node], strict=True):
            grads[parent] += slope * grads[node]
    return grads


# ---------------------------------------------------------------------------------- the wrong ones


def assigned(root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]) -> Array:
    """= where += belongs."""
    grads = np.zeros((len(parents), len(seed)))
    grads[root] = seed
    for node in reversed(oldest_first(root, parents)):
        for parent, slope in zip(parents[node], slopes[node], strict=True):
            grads[parent] = slope * grads[node]
    return grads


def first_only(
    root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]
) -> Array:
    """Only the first contribution to a node counts."""
    grads: dict[int, Array] = {root: seed}
    for node in reversed(oldest_first(root, parents)):
        for parent, slope in zip(parents[node], slopes[node], strict=True):
            grads.setdefault(parent, slope * grads[node])
    return rows(grads, parents, seed)


def rows(grads: dict[int, Array], parents: list[list[int]], seed: Array) -> Array:
    """Gradients by node as the rows of an array."""
    return np.stack([grads.get(i, np.zeros_like(seed)) for i in range(len(parents))])


def visiting(pick: int, backwards: bool, again: bool) -> Callable[..., Array]:
    """Nodes in the order in which they are found: breadth first (pick 0) or depth first (-1).

    ``again``: a node that is found again sends its whole gradient again.
    """

    def rule(root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]) -> Array:
        grads: dict[int, Array] = {root: np.array(seed)}
        waiting, seen, visits = [root], {root}, 0
        while waiting and visits < 50 * len(parents):
            node = waiting.pop(pick)
            visits += 1
            edges = list(zip(parents[node], slopes[node], strict=True))
            for parent, slope in edges:
                share = slope * grads[node]
                grads[parent] = grads[parent] + share if parent in grads else share
            for parent, _ in edges[::-1] if backwards else edges:
                if again or parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
        return rows(grads, parents, seed)

    return rule


def recursing(again: bool) -> Callable[..., Array]:
    """Goes down each edge at once: with the whole gradient so far if ``again``, else only once."""

    def rule(root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]) -> Array:
        if len(parents) > (20 if again else 900):
            raise RecursionError
        grads: dict[int, Array] = {root: np.array(seed)}
        seen: set[int] = set()

        def visit(node: int) -> None:
            if node in seen and not again:
                return
            seen.add(node)
            for parent, slope in zip(parents[node], slopes[node], strict=True):
                share = slope * grads[node]
                grads[parent] = grads[parent] + share if parent in grads else share
                visit(parent)

        visit(root)
        return rows(grads, parents, seed)

    return rule


def aliased(root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]) -> Array:
    """Adds in place into an array that another node owns as well."""
    grads: dict[int, Array] = {root: np.array(seed)}
    for node in reversed(oldest_first(root, parents)):
        grad = grads[node]
        shares = [grad if slope == 1 else slope * grad for slope in slopes[node]]
        for parent, share in zip(parents[node], shares, strict=True):
            if parent in grads:
                grads[parent] += share
            else:
                grads[parent] = share
    return rows(grads, parents, seed)


def once_per_parent(
    root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]
) -> Array:
    """A node used twice by the same operation receives only one of the two contributions."""
    grads = np.zeros((len(parents), len(seed)))
    grads[root] = seed
    for node in reversed(oldest_first(root, parents)):
        for parent, slope in dict(zip(parents[node], slopes[node], strict=True)).items():
            grads[parent] += slope * grads[node]
    return grads


def without_seed(
    root: int, seed: Array, parents: list[list[int]], slopes: list[list[float]]
) -> Array:
    """Ignores the seed and starts from 1."""
    return backpropagate(root, np.ones_like(seed), parents, slopes)


UNORDERED = (
    "A node sends its gradient on before all of its users have run. On y = (a + 1) + a a, "
    "with a = 2x, a must wait for both. Take the nodes in an order in which each comes after "
    "all of its users."
)

MISTAKES = table(
    "the walk: contributions of all users add up, then the node runs",
    "grads",
    (
        "A1",
        assigned,
        "A later contribution overwrites an earlier one: = where += belongs. For y = x x at x = 3 "
        "yours gives 3 instead of 6.",
    ),
    (
        "A1b",
        first_only,
        "Only the first contribution to a node counts; later ones are thrown away. For y = x x at "
        "x = 3 yours gives 3 instead of 6.",
    ),
    ("A2a", visiting(0, False, False), UNORDERED),
    ("A2b", visiting(-1, False, False), UNORDERED),
    ("A2c", visiting(-1, True, False), UNORDERED),
    ("A2d", recursing(False), UNORDERED),
    (
        "A2e",
        visiting(0, False, True),
        "A node that is reached again sends its whole gradient again, so the first part of it is "
        "counted twice. Each node must run once, after all of its users.",
    ),
    (
        "A2f",
        recursing(True),
        "A node that is reached again sends its whole gradient again, so the first part of it is "
        "counted twice. Each node must run once, after all of its users.",
    ),
    (
        "A4",
        aliased,
        "You add in place (+=) into an array that another node holds as well: a sum hands the same "
        "array to both of its inputs. On y = (a + b) + a yours gives b the gradient 2 instead of "
        "1. Add out of place: grads[p] = grads[p] + share.",
    ),
    (
        "A6",
        once_per_parent,
        "An operation that uses the same node twice (x x) sends two contributions, and yours "
        "counts one: a dictionary from parent to contribution keeps only the last.",
    ),
    (
        "A7",
        without_seed,
        "The seed is ignored: your walk starts from 1. It must start from the argument seed.",
    ),
)


# ------------------------------------------------------------------------------------- the order


def judge_order(inputs: Inputs, order: Any) -> tuple[str, str] | None:
    """(key, text) of what is wrong with an order; there is more than one right order."""
    root, parents = inputs["root"], inputs["parents"]
    if not isinstance(order, list) or not all(type(n) is int for n in order):
        return "W0", "the order has to be a list of nodes"
    if len(set(order)) < len(order):
        twice = next(n for n in order if order.count(n) > 1)
        return "W1", (
            f"node {twice} is in the list more than once: it has several users, and each of them "
            f"leads to it. Remember which nodes you have seen"
        )
    needed = set(oldest_first(root, parents))
    if set(order) - needed:
        return "W2", "there are nodes in the list that the result was not made from"
    if needed - set(order):
        missing = len(needed - set(order))
        what = "the result itself" if root not in order else f"{missing} of the {len(needed)} nodes"
        return "W3", f"{what} is missing from the list: follow the parents of the parents, too"
    place = {node: k for k, node in enumerate(order)}
    edges = [(node, p) for node in order for p in parents[node]]
    if all(place[p] > place[node] for node, p in edges):
        return "W4", (
            "the list is in reverse order: each node must come after its parents, so that root is "
            "the last one"
        )
    for node, p in edges:
        if place[p] > place[node]:
            return "W5", (
                f"node {node} comes before its parent {p}. Do not add a node to the list when you "
                f"first see it; add it when all of its parents are in the list"
            )
    return None


def name_error(kind: str, message: str) -> tuple[str, str] | None:
    """The two ways in which a walk breaks down on large graphs."""
    if kind == "RecursionError":
        return "W6", (
            "your walk is recursive, and Python's recursion ends at about 1000: deep networks "
            "need a list of your own for the nodes that still have to be visited"
        )
    if kind == "TooManyVisits":
        return "W7", (
            "your walk follows every path instead of visiting every node once: a graph of 27 nodes "
            "can have 67 million paths. Remember which nodes you have seen"
        )
    return None


QUESTIONS = (
    Question(
        "topological_order",
        ("order",),
        lambda root, parents, **_: np.array(oldest_first(root, parents)),
        probes,
        driver="order",
        judge=judge_order,
        errors=name_error,
        also=("W0", "W1", "W2", "W3", "W4", "W5", "W6", "W7"),
    ),
    Question(
        "backpropagate",
        ("grads",),
        backpropagate,
        probes,
        MISTAKES,
        driver="walk",
        errors=name_error,
        also=("W6", "W7"),
    ),
)
