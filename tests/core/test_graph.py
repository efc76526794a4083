"""The walk, on graphs of plain objects: it knows nothing of arrays."""

import pytest

from minigrad.core.graph import backpropagate, next_order, oldest_first


class Node:
    """A node that multiplies what it gets by one weight per parent."""

    def __init__(self, name, *edges):
        self.order = next_order() if edges else 0
        self.name = name
        self.parents = tuple(parent for parent, _ in edges)
        self.weights = tuple(weight for _, weight in edges)


def gradients(seeds):
    """dL/d(node) by name, and the order of the visits; leaves come when the walk has ended."""
    totals, visits = {}, []

    def pull_back(node, grad):
        visits.append(node.name)
        totals[node.name] = grad
        return tuple(grad * weight for weight in node.weights)

    for leaf, grad in backpropagate(seeds, pull_back).items():
        visits.append(leaf.name)
        totals[leaf.name] = grad
    return totals, visits


def test_every_node_comes_after_all_of_its_users():
    x = Node("x")
    a = Node("a", (x, 2))
    b = Node("b", (a, 3), (x, 5))
    c = Node("c", (b, 7), (a, 11))
    _, visits = gradients({c: 1})
    assert visits == ["c", "b", "a", "x"]


def test_what_arrives_is_added_up_over_all_paths():
    # y = (a + 1) + a a with a = 2 x at x = 3: dy/da = 1 + 2 a = 13, dy/dx = 26. Without a
    # topological order the two paths through a give 28 or 50.
    x = Node("x")
    a = Node("a", (x, 2))
    shifted = Node("a + 1", (a, 1))
    squared = Node("a a", (a, 6), (a, 6))
    y = Node("y", (shifted, 1), (squared, 1))
    totals, visits = gradients({y: 1})
    assert totals["x"] == 26
    assert len(visits) == 5, "a shared node is visited once"


def test_the_same_parent_twice_counts_twice():
    x = Node("x")
    y = Node("y", (x, 3), (x, 4))
    assert gradients({y: 10})[0]["x"] == 70


def test_a_parent_that_needs_no_gradient_is_none():
    x = Node("x")
    y = Node("y", (None, 3), (x, 4))
    assert gradients({y: 10})[0] == {"y": 10, "x": 40}


def test_a_rule_may_send_nothing():
    x = Node("x")
    y = Node("y", (x, 3))
    seen = []
    leaves = backpropagate(
        {y: 1}, lambda node, grad: seen.append(node.name) or (None,) * len(node.parents)
    )
    assert seen == ["y"]
    assert leaves == {}, "x receives nothing"


def test_several_roots_one_of_which_is_under_another():
    x = Node("x")
    a = Node("a", (x, 2))
    b = Node("b", (a, 3))
    assert gradients({a: 10, b: 1})[0] == {"b": 1, "a": 13, "x": 26}


def test_a_rule_that_answers_with_the_wrong_number_of_shares_is_an_error():
    x = Node("x")
    y = Node("y", (x, 1), (x, 1))
    with pytest.raises(ValueError, match="1 contributions came back for 2 parents"):
        backpropagate({y: 1}, lambda node, grad: (grad,))


def test_depth_is_limited_by_memory_alone():
    node = Node("leaf")
    for _ in range(100_000):
        node = Node("link", (node, 1), (node, 0))
    totals, visits = gradients({node: 5})
    assert totals["leaf"] == 5
    assert len(visits) == 100_001


def test_forty_diamonds_are_walked_once_each():
    # 2^40 paths: a walk over paths would not return.
    node = Node("leaf")
    for _ in range(40):
        node = Node("diamond", (node, 1), (node, 1))
    totals, visits = gradients({node: 1})
    assert totals["leaf"] == 2**40
    assert len(visits) == 41


def test_oldest_first_lists_parents_before_their_users_and_no_leaves():
    x, z = Node("x"), Node("z")
    a = Node("a", (x, 1), (z, 1))
    b = Node("b", (a, 1), (x, 1))
    y = Node("y", (b, 1), (a, 1))
    assert [node.name for node in oldest_first([y])] == ["a", "b", "y"]


def test_a_leaf_may_be_a_root():
    x = Node("x")
    assert backpropagate({x: 7}, lambda node, grad: ()) == {x: 7}
