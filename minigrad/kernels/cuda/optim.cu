// One step of an optimiser over a flat buffer: a parameter, or all parameters of a model behind one
// another. w are the weights, g their gradients, n how many there are; the formulas stand in optim/.

// g <- g + decay w,   v <- momentum v + keep g  (v = g in the first step),   w <- w - lr v
// nesterov: w <- w - lr (g + momentum v).   keep = 1 - dampening.   v may be null without momentum.
extern "C" __global__ void sgd_step(
    REAL* w, const REAL* g, REAL* v, long long n, SUM lr, SUM momentum, SUM keep, SUM decay,
    int nesterov, int first, int maximize) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        const SUM weight = load(w, i);
        SUM step = (maximize ? -load(g, i) : load(g, i)) + decay * weight;
        if (v) {
            const SUM speed = first ? step : momentum * load(v, i) + keep * step;
            store(v, i, speed);
            step = nesterov ? step + momentum * speed : speed;
        }
        store(w, i, weight - lr * step);
    }
}

// m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2
// w <- w - step_size m / (sqrt(v) / root + eps)
//
// step_size = lr / (1 - beta1^t) and root = sqrt(1 - beta2^t) come from the host, computed in double.
// Adam: g <- g + decay w before all else.   AdamW: w <- (1 - shrink) w, shrink = lr * weight decay.
extern "C" __global__ void adam_step(
    REAL* w, const REAL* g, REAL* m, REAL* v, long long n, SUM step_size, SUM root, SUM beta1,
    SUM rest1, SUM beta2, SUM rest2, SUM eps, SUM decay, SUM shrink, int maximize) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        SUM weight = load(w, i);
        const SUM slope = (maximize ? -load(g, i) : load(g, i)) + decay * weight;
        weight -= shrink * weight;
        const SUM first = beta1 * load(m, i) + rest1 * slope;
        const SUM second = beta2 * load(v, i) + rest2 * slope * slope;
        store(m, i, first);
        store(v, i, second);
        store(w, i, weight - step_size * first / (sqrt(second) / root + eps));
    }
}
