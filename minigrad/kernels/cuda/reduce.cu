// Sums over the rows of a matrix: y_c = sum_n x_nc, the gradient of a bias.
//
// In two stages, for the reason given in batchnorm.cu.

// Stage 1: the sums over a chunk of the rows.
extern "C" __global__ void column_sums(const REAL* x, SUM* chunk, int N, int C, int rows_per_chunk) {
    const int c = blockIdx.x * WIDTH + threadIdx.x;
    const int first = blockIdx.y * rows_per_chunk, last = min(N, first + rows_per_chunk);
    SUM sum = 0;
    if (c < C)
        for (int row = first + threadIdx.y; row < last; row += HEIGHT)
            sum += load(x, (long long)row * C + c);
    sum = sum_over_rows(sum);
    if (threadIdx.y == 0 && c < C) chunk[(long long)blockIdx.y * C + c] = sum;
}

// Stage 2: over the chunks.
extern "C" __global__ void merge_column_sums(const SUM* chunk, REAL* y, int C, int chunks) {
    const int c = blockIdx.x * WIDTH + threadIdx.x;
    SUM sum = 0;
    if (c < C)
        for (int k = threadIdx.y; k < chunks; k += HEIGHT) sum += chunk[(long long)k * C + c];
    sum = sum_over_rows(sum);
    if (threadIdx.y == 0 && c < C) store(y, c, sum);
}
