// Windows of images: unfold, fold, and the largest pixel. Images are (M, H, W), M = N C.
//
// Tap (i, j) of a window at place (r, q) meets the pixel h = r sh + i dh - ph, w = q sw + j dw - pw.
// Who wants to know which place meets a pixel by a tap solves this for r: where it is no whole
// number, or not one of the oh places, there is none.

// The place along an axis that meets pixel h by tap i; -1 if there is none.
__device__ int place_of(int h, int i, int s, int p, int d, int places) {
    const int distance = h + p - i * d;
    if (distance < 0 || distance % s != 0 || distance / s >= places) return -1;
    return distance / s;
}

// u (M, kh, kw, oh, ow): for each place the pixels that its window covers; 0 for the padding.
extern "C" __global__ void unfold(const REAL* x, REAL* u, long long n, int H, int W, int kh, int kw,
    int sh, int sw, int ph, int pw, int dh, int dw, int oh, int ow) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x; t < n; t += stride) {
        long long rest = t;
        const int q = rest % ow, r = (rest /= ow) % oh;
        const int j = (rest /= oh) % kw, i = (rest /= kw) % kh;
        const long long image = rest / kh;
        const int h = r * sh + i * dh - ph, w = q * sw + j * dw - pw;
        const bool inside = h >= 0 && h < H && w >= 0 && w < W;
        store(u, t, inside ? load(x, (image * H + h) * W + w) : SUM(0));
    }
}

// x (M, H, W): at each pixel the sum over the taps of what the place that meets it has for it.
extern "C" __global__ void fold(const REAL* u, REAL* x, long long n, int H, int W, int kh, int kw,
    int sh, int sw, int ph, int pw, int dh, int dw, int oh, int ow) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x; t < n; t += stride) {
        const int w = t % W, h = t / W % H;
        const long long image = t / W / H;
        SUM total = 0;
        for (int i = 0; i < kh; ++i) {
            const int r = place_of(h, i, sh, ph, dh, oh);
            for (int j = 0; r >= 0 && j < kw; ++j) {
                const int q = place_of(w, j, sw, pw, dw, ow);
                if (q >= 0)
                    total += load(u, (((image * kh + i) * kw + j) * oh + r) * ow + q);
            }
        }
        store(x, t, total);
    }
}

// y (M, oh, ow): the largest pixel of each window, and which tap meets it: the first of several; a
// NaN wins. Where the window covers padding alone, y is `nothing`, minus infinity.
extern "C" __global__ void max_pool(
    const REAL* x, REAL* y, int* winner, SUM nothing, long long n, int H, int W, int kh, int kw,
    int sh, int sw, int ph, int pw, int dh, int dw, int oh, int ow) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x; t < n; t += stride) {
        const int q = t % ow, r = t / ow % oh;
        const long long image = t / ow / oh;
        SUM largest = nothing;
        int tap = 0;
        for (int i = 0; i < kh; ++i)
            for (int j = 0; j < kw; ++j) {
                const int h = r * sh + i * dh - ph, w = q * sw + j * dw - pw;
                if (h < 0 || h >= H || w < 0 || w >= W) continue;
                const SUM pixel = load(x, (image * H + h) * W + w);
                if (pixel > largest || pixel != pixel) {
                    largest = pixel;
                    tap = i * kw + j;
                }
            }
        store(y, t, largest);
        winner[t] = tap;
    }
}

// dx (M, H, W): at each pixel the sum of dy over the places where it has won.
extern "C" __global__ void max_pool_backward(
    const REAL* dy, const int* winner, REAL* dx, long long n, int H, int W, int kh, int kw,
    int sh, int sw, int ph, int pw, int dh, int dw, int oh, int ow) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x; t < n; t += stride) {
        const int w = t % W, h = t / W % H;
        const long long image = t / W / H;
        SUM total = 0;
        for (int i = 0; i < kh; ++i) {
            const int r = place_of(h, i, sh, ph, dh, oh);
            for (int j = 0; r >= 0 && j < kw; ++j) {
                const int q = place_of(w, j, sw, pw, dw, ow);
                const long long place = (image * oh + r) * ow + q;
                if (q >= 0 && winner[place] == i * kw + j) total += load(dy, place);
            }
        }
        store(dx, t, total);
    }
}
