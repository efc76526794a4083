// BatchNorm in training, over matrices of N samples and C channels, alone or with a sigmoid after it.
//
//   y = gamma x_hat + beta,   x_hat = (x - mu) r,   r = 1 / sqrt(var + eps)        [forward]
//   dx = gamma r (da - dbeta / N - x_hat dgamma / N)                               [backward]
//   dbeta = sum(da),  dgamma = sum(da x_hat)
//
// da is the gradient of the line above: dy itself, or dy y (1 - y) where y is the sigmoid of it.
// The derivation stands in ops/normalization.py.
//
// A column is summed in two stages: each block takes 32 columns and a chunk of the rows, and a second
// kernel merges the chunks. With one stage, C / 32 blocks would have to keep the whole GPU busy.
//
// All statistics are taken of x - x0, where x0 is the first row: a mean that is large compared with
// the spread costs no digits then, as both have it. `offset` is mu - x0, and x - mu is computed as
// (x - x0) - offset. (x0 need not be typical: |x0 - mu| <= sqrt(N) sigma, so what is lost in x_hat is
// at most sqrt(N) roundings.)

// Stage 1. For each chunk and column: the mean of x - x0, and M2 = sum((x - mean)^2).
//
// Welford's update for one more value v, within a thread:
//   n += 1,  d = v - mean,  mean += d / n,  M2 += d (v - mean)
// Chan's merge of two sets, between the threads of a block:
//   d = mean_b - mean_a,  mean = mean_a + d n_b / n,  M2 = M2_a + M2_b + d^2 n_a n_b / n
extern "C" __global__ void batch_statistics(
    const REAL* x, SUM* chunk_mean, SUM* chunk_m2, int N, int C, int rows_per_chunk) {
    __shared__ SUM count[HEIGHT][WIDTH], means[HEIGHT][WIDTH], m2s[HEIGHT][WIDTH];
    const int tx = threadIdx.x, ty = threadIdx.y, c = blockIdx.x * WIDTH + tx;
    const int first = blockIdx.y * rows_per_chunk, last = min(N, first + rows_per_chunk);
    SUM n = 0, mean = 0, m2 = 0;
    if (c < C) {
        const SUM x0 = load(x, c);
        for (int row = first + ty; row < last; row += HEIGHT) {
            const SUM v = load(x, (long long)row * C + c) - x0;
            const SUM d = v - mean;
            n += 1;
            mean += d / n;
            m2 += d * (v - mean);
        }
    }
    count[ty][tx] = n;
    means[ty][tx] = mean;
    m2s[ty][tx] = m2;
    __syncthreads();
    for (int half = HEIGHT / 2; half > 0; half /= 2) {
        if (ty < half) {
            const SUM na = count[ty][tx], nb = count[ty + half][tx], both = na + nb;
            if (both > 0) {
                const SUM d = means[ty + half][tx] - means[ty][tx], share = nb / both;
                means[ty][tx] += d * share;
                m2s[ty][tx] += m2s[ty + half][tx] + d * d * na * share;
                count[ty][tx] = both;
            }
        }
        __syncthreads();
    }
    if (ty == 0 && c < C) {
        const long long i = (long long)blockIdx.y * C + c;
        chunk_mean[i] = means[0][tx];
        chunk_m2[i] = m2s[0][tx];
    }
}

// Stage 2. Merges the chunks of each column, one thread per column.   var = M2 / N  (biased)
// shift may be null: what x would be with a bias that nobody has added, as normalising takes it away.
extern "C" __global__ void merge_statistics(
    const REAL* x, const SUM* chunk_mean, const SUM* chunk_m2, const SUM* shift, SUM* offset,
    SUM* mean, SUM* var, SUM* inv_std, int N, int C, int chunks, int rows_per_chunk, SUM eps) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    SUM n = 0, m = 0, m2 = 0;
    for (int k = 0; k < chunks; ++k) {
        const long long i = (long long)k * C + c;
        const SUM nb = min(N, (k + 1) * rows_per_chunk) - k * rows_per_chunk, both = n + nb;
        const SUM d = chunk_mean[i] - m, share = nb / both;
        m += d * share;
        m2 += chunk_m2[i] + d * d * n * share;
        n = both;
    }
    offset[c] = m;
    mean[c] = load(x, c) + m + (shift ? shift[c] : SUM(0));
    var[c] = m2 / N;
    inv_std[c] = 1 / sqrt(m2 / N + eps);
}

// running <- (1 - momentum) running + momentum batch, with the unbiased variance, var N / (N - 1).
// A channel whose statistics are infinite or NaN is left as it is: 0 times them is not 0.
extern "C" __global__ void update_running(
    const SUM* mean, const SUM* var, SUM* running_mean, SUM* running_var, int C, SUM momentum,
    SUM unbiased) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C || mean[c] * 0 + var[c] * 0 != 0) return;
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased * var[c];
}

// How many batches the running statistics have seen.
extern "C" __global__ void count_one(long long* count) { *count += 1; }

// y = gamma x_hat + beta, or its sigmoid. gamma and beta may be null: 1 and 0.
extern "C" __global__ void normalise(
    const REAL* x, const SUM* offset, const SUM* inv_std, const SUM* gamma, const SUM* beta, REAL* y,
    int N, int C, int with_sigmoid) {
    const int c = blockIdx.x * WIDTH + threadIdx.x;
    if (c >= C) return;
    const SUM x0 = load(x, c), m = offset[c], b = beta ? beta[c] : SUM(0);
    const SUM scale = gamma ? gamma[c] * inv_std[c] : inv_std[c];
    for (int row = blockIdx.y * HEIGHT + threadIdx.y; row < N; row += gridDim.y * HEIGHT) {
        const long long i = (long long)row * C + c;
        const SUM a = (load(x, i) - x0 - m) * scale + b;
        store(y, i, with_sigmoid ? sigmoid(a) : a);
    }
}

// da, from dy and, where a sigmoid follows, its output y.
__device__ SUM through_sigmoid(const REAL* dy, const REAL* y, long long i, int with_sigmoid) {
    const SUM d = load(dy, i);
    if (!with_sigmoid) return d;
    const SUM s = load(y, i);
    return d * s * (1 - s);
}

// Stage 1 of dbeta and dgamma: the sums over a chunk of the rows. y is read with a sigmoid only.
extern "C" __global__ void normalise_backward_sums(
    const REAL* dy, const REAL* y, const REAL* x, const SUM* offset, const SUM* inv_std,
    SUM* chunk_dbeta, SUM* chunk_dgamma, int N, int C, int rows_per_chunk, int with_sigmoid) {
    const int c = blockIdx.x * WIDTH + threadIdx.x;
    const int first = blockIdx.y * rows_per_chunk, last = min(N, first + rows_per_chunk);
    SUM dbeta = 0, dgamma = 0;
    if (c < C) {
        const SUM x0 = load(x, c), m = offset[c];
        for (int row = first + threadIdx.y; row < last; row += HEIGHT) {
            const long long i = (long long)row * C + c;
            const SUM da = through_sigmoid(dy, y, i, with_sigmoid);
            dbeta += da;
            dgamma += da * (load(x, i) - x0 - m);
        }
        dgamma *= inv_std[c];
    }
    dbeta = sum_over_rows(dbeta);
    dgamma = sum_over_rows(dgamma);
    if (threadIdx.y == 0 && c < C) {
        const long long i = (long long)blockIdx.y * C + c;
        chunk_dbeta[i] = dbeta;
        chunk_dgamma[i] = dgamma;
    }
}

// Stage 2: over the chunks, one thread per column. zeros may be null: the gradient of such a bias.
extern "C" __global__ void merge_backward_sums(
    const SUM* chunk_dbeta, const SUM* chunk_dgamma, SUM* dbeta, SUM* dgamma, SUM* zeros, int C,
    int chunks) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    SUM b = 0, g = 0;
    for (int k = 0; k < chunks; ++k) {
        b += chunk_dbeta[(long long)k * C + c];
        g += chunk_dgamma[(long long)k * C + c];
    }
    dbeta[c] = b;
    dgamma[c] = g;
    if (zeros) zeros[c] = 0;
}

// dx = gamma r (da - dbeta / N - x_hat dgamma / N)
extern "C" __global__ void normalise_backward(
    const REAL* dy, const REAL* y, const REAL* x, const SUM* offset, const SUM* inv_std,
    const SUM* gamma, const SUM* dbeta, const SUM* dgamma, REAL* dx, int N, int C,
    int with_sigmoid) {
    const int c = blockIdx.x * WIDTH + threadIdx.x;
    if (c >= C) return;
    const SUM x0 = load(x, c), m = offset[c], r = inv_std[c];
    const SUM scale = gamma ? gamma[c] * r : r, b = dbeta[c] / N, along = r * dgamma[c] / N;
    for (int row = blockIdx.y * HEIGHT + threadIdx.y; row < N; row += gridDim.y * HEIGHT) {
        const long long i = (long long)row * C + c;
        const SUM da = through_sigmoid(dy, y, i, with_sigmoid);
        store(dx, i, scale * (da - b - (load(x, i) - x0 - m) * along));
    }
}
