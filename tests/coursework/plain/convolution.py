"""Task 12, place by place."""

import numpy as np


def with_border(x, p):
    n, c, h, w = x.shape
    large = np.zeros((n, c, h + 2 * p, w + 2 * p))
    large[:, :, p : p + h, p : p + w] = x
    return large


def conv2d(x, weight, bias, stride, padding):
    large, (o, _, kh, kw) = with_border(x, padding), weight.shape
    oh = (large.shape[2] - kh) // stride + 1
    ow = (large.shape[3] - kw) // stride + 1
    y = np.zeros((len(x), o, oh, ow))
    for r in range(oh):
        for q in range(ow):
            top, left = r * stride, q * stride
            window = large[:, :, top : top + kh, left : left + kw]
            for k in range(o):
                y[:, k, r, q] = (window * weight[k]).sum(axis=(1, 2, 3)) + bias[k]
    return y


def conv2d_backward(dy, x, weight, stride, padding):
    o, oh, ow = dy.shape[1:]
    kh, kw = weight.shape[2:]
    large = with_border(x, padding)
    back, dweight, dbias = np.zeros_like(large), np.zeros_like(weight), np.zeros(o)
    for r, q, k in np.ndindex(oh, ow, o):
        top, left = r * stride, q * stride
        grad = dy[:, k, r, q]
        spread = np.multiply.outer(grad, weight[k])
        window = large[:, :, top : top + kh, left : left + kw]
        back[:, :, top : top + kh, left : left + kw] += spread
        dweight[k] += np.tensordot(grad, window, 1)
        dbias[k] += grad.sum()
    h, w = x.shape[2:]
    return [back[:, :, padding : padding + h, padding : padding + w], dweight, dbias]
