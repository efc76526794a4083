"""Task 9 by counting the users of each node."""


def topological_order(root, parents):
    users, waiting = {root: 0}, [root]
    while waiting:
        for parent in parents[waiting.pop()]:
            if parent not in users:
                users[parent] = 0
                waiting.append(parent)
            users[parent] += 1
    ready, newest_first = [root], []
    while ready:
        node = ready.pop()
        newest_first.append(node)
        for parent in parents[node]:
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)
    return newest_first[::-1]


def backpropagate(root, seed, parents, pull_back):
    arrived = {node: [] for node in topological_order(root, parents)}
    arrived[root].append(seed)
    total = {}
    for node in list(arrived)[::-1]:
        total[node] = sum(arrived[node])
        for parent, share in zip(parents[node], pull_back(node, total[node]), strict=True):
            arrived[parent].append(share)
    return total
