"""Task 8 in place."""


def sgd_step(weight, grad, velocity, lr, momentum):
    velocity *= momentum
    velocity += grad
    weight -= lr * velocity
    return weight, velocity
