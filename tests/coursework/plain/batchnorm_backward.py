"""Task 6 feature by feature, the collapsed function by the chain of steps."""

import numpy as np


def batch_norm_backward(dy, x, gamma, eps):
    n = len(x)
    dx, dgamma, dbeta = np.zeros_like(x), np.zeros_like(gamma), np.zeros_like(gamma)
    for j in range(x.shape[1]):
        c = x[:, j] - x[:, j].mean()
        v = np.dot(c, c) / n
        r = (v + eps) ** -0.5
        hat = c * r
        dgamma[j] = np.dot(dy[:, j], hat)
        dbeta[j] = dy[:, j].sum()
        g = dy[:, j] * gamma[j]
        dr = np.dot(g, c)
        dv = -0.5 * r**3 * dr
        dc = g * r + 2 / n * dv * c
        dm = -dc.sum()
        dx[:, j] = dc + dm / n
    return dx, dgamma, dbeta


def batch_norm_steps(dy, x, gamma, eps):
    n = len(x)
    mu = np.einsum("nj->j", x) / n
    c = x - mu[None]
    r = 1 / np.sqrt(np.einsum("nj,nj->j", c, c) / n + eps)
    found = {}
    found["dbeta"] = np.einsum("nj->j", dy)
    found["dgamma"] = np.einsum("nj,nj,j->j", dy, c, r)
    found["dx_hat"] = np.einsum("nj,j->nj", dy, gamma)
    found["dr"] = np.einsum("nj,nj->j", found["dx_hat"], c)
    found["dvar"] = found["dr"] * r * r * r / -2
    direct = found["dx_hat"] * r
    found["dc"] = direct + found["dvar"] * (c + c) / n
    found["dmu"] = np.einsum("nj->j", -found["dc"])
    found["dx"] = found["dc"] + np.ones((n, 1)) * found["dmu"] / n
    return found
