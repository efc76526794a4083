// The sigmoid, and a bias with an activation after it.

// y = s(x) = 1 / (1 + e^-x)
extern "C" __global__ void sigmoid_forward(const REAL* x, REAL* y, long long n) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride)
        store(y, i, sigmoid(load(x, i)));
}

// dx = dy y (1 - y)
extern "C" __global__ void sigmoid_backward(
    const REAL* dy, const REAL* y, REAL* dx, long long n) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        const SUM s = load(y, i);
        store(dx, i, load(dy, i) * (s * (1 - s)));
    }
}

// y <- f(y + b), in place on a matrix product.   f: 0 identity, 1 sigmoid, 2 ReLU, 3 tanh
extern "C" __global__ void add_bias(REAL* y, const REAL* bias, int N, int C, int activation) {
    const int c = blockIdx.x * WIDTH + threadIdx.x;
    if (c >= C) return;
    const SUM b = load(bias, c);
    for (int row = blockIdx.y * HEIGHT + threadIdx.y; row < N; row += gridDim.y * HEIGHT) {
        const long long i = (long long)row * C + c;
        SUM a = load(y, i) + b;
        if (activation == 1) a = sigmoid(a);
        if (activation == 2) a = a < 0 ? SUM(0) : a;
        if (activation == 3) a = tanh(a);
        store(y, i, a);
    }
}
