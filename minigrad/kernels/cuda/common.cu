// What all kernels share: number types, the shape of a block, the sum over a block's rows.
//
// The files of this folder are joined and compiled once per element type (kernels/launch.py):
//
//   REAL   the type of the elements of x, y, w, ... : float, double or Half
//   SUM    the type of everything that is added up, and of all arithmetic: float for Half
//
// Arrays are matrices of N rows and C columns, row after row ("C order") without gaps; whoever
// launches a kernel has checked that. Nothing is assumed about alignment beyond that of one element.

// Half precision without a header, which the compiler may not find: its bits, and two conversions.
struct Half {
    unsigned short bits;
};

#ifdef EMULATED
__device__ float widen(Half h) { return emulated::float_from_half(h.bits); }
__device__ Half narrow(Half, float f) { return {emulated::half_from_float(f)}; }
#else
__device__ float widen(Half h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h.bits));
    return f;
}
__device__ Half narrow(Half, float f) {
    Half h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(f));
    return h;
}
#endif
__device__ float widen(float x) { return x; }
__device__ double widen(double x) { return x; }
__device__ float narrow(float, float x) { return x; }
__device__ double narrow(double, double x) { return x; }

// Reading as SUM and writing as REAL. Offsets need 64 bits: a matrix may hold 2^31 elements.
template <class T>
__device__ SUM load(const T* array, long long i) {
    return widen(array[i]);
}
template <class T>
__device__ void store(T* array, long long i, SUM value) {
    array[i] = narrow(T(), value);
}

// A block is 32 threads wide, so that a warp reads 32 neighbours in a row, and 8 rows high.
const int WIDTH = 32, HEIGHT = 8;

// Each thread of a block brings a number; afterwards the threads of the first row hold the sum over
// their column. All threads of the block must call it.
__device__ SUM sum_over_rows(SUM value) {
    __shared__ SUM shared[HEIGHT][WIDTH];
    const int tx = threadIdx.x, ty = threadIdx.y;
    __syncthreads();  // from an earlier call, others may still be reading
    shared[ty][tx] = value;
    __syncthreads();
    for (int half = HEIGHT / 2; half > 0; half /= 2) {
        if (ty < half) shared[ty][tx] += shared[ty + half][tx];
        __syncthreads();
    }
    return shared[0][tx];
}

// The sum, or the largest, over the 32 threads of a warp; each of them gets it.
__device__ SUM sum_over_warp(SUM value) {
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffffu, value, lane);
    return value;
}
__device__ SUM max_over_warp(SUM value) {
    for (int lane = 16; lane > 0; lane /= 2) {
        const SUM other = __shfl_xor_sync(0xffffffffu, value, lane);
        value = other > value || other != other ? other : value;  // NaN wins, as in max of NumPy
    }
    return value;
}

// s(x) = 1 / (1 + e^-x), with e^-|x| <= 1, which cannot overflow.
__device__ SUM sigmoid(SUM x) {
    const SUM e = exp(x < 0 ? x : -x);
    return (x < 0 ? e : SUM(1)) / (1 + e);
}
