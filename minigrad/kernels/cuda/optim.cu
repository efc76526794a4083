// One step of an optimiser for all parameters of a group in one launch; the formulas stand in optim/.
//
// The parameters and their gradients lie where they lie. ``table`` holds the addresses of the count
// weights, then those of the gradients, then where each ends if all are laid end to end. What the
// optimiser remembers (v, m) does lie end to end.

// The parameter that the number i is in, among those from p on.
__device__ int containing(const long long* ends, int p, int count, long long i) {
    int after = count - 1;
    while (p < after) {
        const int middle = (p + after) / 2;
        if (i < ends[middle]) after = middle;
        else p = middle + 1;
    }
    return p;
}

// g <- g + decay w,   v <- momentum v + keep g  (v = g in the first step),   w <- w - lr v
// nesterov: w <- w - lr (g + momentum v).   keep = 1 - dampening.   v may be null without momentum.
extern "C" __global__ void sgd_step(
    const long long* table, int count, REAL* v, SUM lr, SUM momentum, SUM keep, SUM decay,
    int nesterov, int first, int maximize) {
    const long long* ends = table + 2 * count;
    const long long n = ends[count - 1], stride = (long long)gridDim.x * blockDim.x;
    int p = 0;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        p = containing(ends, p, count, i);
        const long long k = p ? i - ends[p - 1] : i;
        REAL* w = (REAL*)table[p];
        const REAL* g = (const REAL*)table[count + p];
        const SUM weight = load(w, k);
        SUM step = (maximize ? -load(g, k) : load(g, k)) + decay * weight;
        if (v) {
            const SUM speed = first ? step : momentum * load(v, i) + keep * step;
            store(v, i, speed);
            step = nesterov ? step + momentum * speed : speed;
        }
        store(w, k, weight - lr * step);
    }
}

// m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2
// w <- w - step_size m / (sqrt(v) / root + eps)
//
// step_size = lr / (1 - beta1^t) and root = sqrt(1 - beta2^t) come from the host, computed in double.
// Adam: g <- g + decay w before all else.   AdamW: w <- (1 - shrink) w, shrink = lr * weight decay.
extern "C" __global__ void adam_step(
    const long long* table, int count, REAL* m, REAL* v, SUM step_size, SUM root, SUM beta1,
    SUM rest1, SUM beta2, SUM rest2, SUM eps, SUM decay, SUM shrink, int maximize) {
    const long long* ends = table + 2 * count;
    const long long n = ends[count - 1], stride = (long long)gridDim.x * blockDim.x;
    int p = 0;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        p = containing(ends, p, count, i);
        const long long k = p ? i - ends[p - 1] : i;
        REAL* w = (REAL*)table[p];
        const REAL* g = (const REAL*)table[count + p];
        SUM weight = load(w, k);
        const SUM slope = (maximize ? -load(g, k) : load(g, k)) + decay * weight;
        weight -= shrink * weight;
        const SUM first = beta1 * load(m, i) + rest1 * slope;
        const SUM second = beta2 * load(v, i) + rest2 * slope * slope;
        store(m, i, first);
        store(v, i, second);
        store(w, k, weight - step_size * first / (sqrt(second) / root + eps));
    }
}
