// Softmax cross-entropy over N rows of C logits z, with a label t for each row.
//
//   l_n = log sum_k e^(z_nk) - z_nt,   L = sum_n w_n l_n,   dz_nj = w_n (p_nj - [j = t_n]) dL
//
// p_nj = e^(z_nj - lse_n) with lse_n = log sum_k e^(z_nk), which forward leaves for backward. The
// weight w_n is 0 where t_n is `ignore`; elsewhere it is 1, or 1 / count for a mean over the labels
// that count. Labels have been checked to lie in [0, C).

// l and lse of each row: one warp per row, HEIGHT rows per block.
//
//   lse = m + log sum_k e^(z_k - m),  m = max z, so that nothing overflows
extern "C" __global__ void cross_entropy_rows(
    const REAL* z, const long long* labels, SUM* loss, SUM* lse, int N, int C, long long ignore) {
    const int row = blockIdx.x * HEIGHT + threadIdx.y, lane = threadIdx.x;
    if (row >= N) return;  // the whole warp leaves
    const long long start = (long long)row * C;
    SUM largest = load(z, start);
    for (int c = lane; c < C; c += WIDTH) {
        const SUM v = load(z, start + c);
        largest = v > largest || v != v ? v : largest;
    }
    largest = max_over_warp(largest);
    SUM sum = 0;
    for (int c = lane; c < C; c += WIDTH) sum += exp(load(z, start + c) - largest);
    sum = sum_over_warp(sum);
    if (lane == 0) {
        const long long label = labels[row];
        const SUM shift = log(sum);
        lse[row] = largest + shift;
        // (largest - z_t) first: both may be large, and their difference is what matters
        loss[row] = label == ignore ? SUM(0) : shift + (largest - load(z, start + label));
    }
}

// L = sum_n l_n, or divided by the number of labels that count. One block; scale = w of a row.
extern "C" __global__ void cross_entropy_total(
    const SUM* loss, const long long* labels, REAL* total, SUM* scale, int N, long long ignore,
    int mean) {
    SUM sum = 0, count = 0;
    for (int row = threadIdx.y * WIDTH + threadIdx.x; row < N; row += WIDTH * HEIGHT) {
        sum += loss[row];
        count += labels[row] != ignore;
    }
    sum = sum_over_rows(sum);
    count = sum_over_rows(count);
    if (threadIdx.y == 0) {
        sum = sum_over_warp(sum);
        count = sum_over_warp(count);
        if (threadIdx.x == 0) {
            scale[0] = mean ? 1 / count : SUM(1);
            store(total, 0, mean ? sum / count : sum);
        }
    }
}

// dz. `grad` is dL: one number, or one per row (per_row = 1) where the losses were not added up.
extern "C" __global__ void cross_entropy_backward(
    const REAL* grad, const REAL* z, const long long* labels, const SUM* lse, const SUM* scale,
    REAL* dz, int N, int C, long long ignore, int per_row) {
    const int row = blockIdx.x * HEIGHT + threadIdx.y;
    if (row >= N) return;
    const long long start = (long long)row * C, label = labels[row];
    const SUM w = label == ignore ? SUM(0) : scale[0] * load(grad, per_row ? row : 0);
    const SUM shift = lse[row];
    for (int c = threadIdx.x; c < C; c += WIDTH) {
        const SUM p = exp(load(z, start + c) - shift);
        store(dz, start + c, w * (p - (c == label ? SUM(1) : SUM(0))));
    }
}
