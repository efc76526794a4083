"""Task 9."""


def topological_order(root, parents):
    order, seen, stack = [], {root}, [(root, iter(parents[root]))]
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


def backpropagate(root, seed, parents, pull_back):
    grads = {root: seed}
    for node in reversed(topological_order(root, parents)):
        shares = pull_back(node, grads[node])
        for parent, share in zip(parents[node], shares, strict=True):
            grads[parent] = grads[parent] + share if parent in grads else share
    return grads
