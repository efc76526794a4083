// CUDA C++ on the CPU, for tests: the threads of a block, one block after another. It knows what the
// kernels of minigrad use: indices, shared memory, barriers, shuffles.
//
// There are two ways to run the threads of a block. Under a sanitizer (THREADS is defined) each is a
// thread of the machine: a missing barrier is then a data race that ThreadSanitizer sees, and a read
// past the end is one that AddressSanitizer sees. Otherwise they take turns on one thread, each up to
// its next barrier, which is twenty times as fast.
//
// What it cannot show: speed, the rounding of the GPU's own functions, and what depends on how warps
// are scheduled.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#define EMULATED 1
#define __global__
#define __device__
#define __restrict__
#define __shared__ static  // blocks run one after another: what is static is the block's

using std::exp, std::log, std::max, std::min, std::sqrt, std::tanh;

#ifdef THREADS
#include <condition_variable>
#include <mutex>
#include <thread>
#define OF_THREAD static thread_local
#else
#include <functional>
#include <ucontext.h>
#define OF_THREAD static
#endif

struct dim3 {
    unsigned x, y, z;
};
OF_THREAD dim3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;

namespace emulated {

OF_THREAD unsigned thread_number;

inline void set_thread(unsigned number) {
    thread_number = number;
    threadIdx = {number % blockDim.x, number / blockDim.x % blockDim.y,
                 number / (blockDim.x * blockDim.y)};
}

#ifdef THREADS

class Turns {  // of a group of threads, at a barrier: they sleep, and are woken
    std::mutex mutex;
    std::condition_variable woken;

  public:
    auto lock() { return std::unique_lock(mutex); }
    template <class Condition>
    void until(std::unique_lock<std::mutex>& lock, Condition condition) {
        woken.wait(lock, condition);
    }
    void wake() { woken.notify_all(); }
};

template <class Body>
void run_threads(unsigned threads, Body body) {
    std::vector<std::thread> running;
    for (unsigned number = 0; number < threads; ++number)
        running.emplace_back([=] {
            set_thread(number);
            body();
        });
    for (auto& one : running) one.join();
}

#else

static ucontext_t scheduler;
static std::vector<ucontext_t> contexts;
static std::function<void()> entry;

class Turns {  // they let the others go on, and look again when it is their turn
  public:
    int lock() { return 0; }
    template <class Condition>
    void until(int, Condition condition) {
        while (!condition()) swapcontext(&contexts[thread_number], &scheduler);
    }
    void wake() {}
};

template <class Body>
void run_threads(unsigned threads, Body body) {
    static std::vector<char> stacks;
    const size_t size = 1 << 15;
    unsigned running = threads;
    stacks.resize(threads * size);
    contexts.assign(threads, ucontext_t());
    std::vector<char> done(threads, 0);
    entry = [&] {
        body();
        done[thread_number] = 1;
        --running;
    };
    for (unsigned number = 0; number < threads; ++number) {
        ucontext_t& context = contexts[number];
        getcontext(&context);
        context.uc_stack.ss_sp = &stacks[number * size];
        context.uc_stack.ss_size = size;
        context.uc_link = &scheduler;
        makecontext(&context, [] { entry(); }, 0);
    }
    while (running)
        for (unsigned number = 0; number < threads; ++number)
            if (!done[number]) {
                set_thread(number);
                swapcontext(&scheduler, &contexts[number]);
            }
}

#endif

// A place where all threads of a group wait for each other. In CUDA it is undefined what happens if
// some of them never come, so here that is an error.
class Barrier {
    Turns turns;
    unsigned size, waiting = 0, left = 0, round = 0;

  public:
    explicit Barrier(unsigned size) : size(size) {}

    void wait() {
        auto lock = turns.lock();
        if (left) fail();
        const unsigned mine = round;
        if (++waiting == size) {
            waiting = 0;
            ++round;
            turns.wake();
        } else {
            turns.until(lock, [&] { return round != mine; });
        }
    }

    void leave() {  // at the end of a block
        [[maybe_unused]] auto lock = turns.lock();
        ++left;
        if (waiting) fail();
    }

    void come_back() {  // for the next one
        [[maybe_unused]] auto lock = turns.lock();
        --left;
    }

    [[noreturn]] static void fail() {
        std::fputs("a thread has left the kernel while others wait for it at a barrier\n", stderr);
        std::fflush(stderr);
        std::_Exit(77);
    }
};

static Barrier* block_barrier;
static std::vector<std::unique_ptr<Barrier>> warp_barriers;
static std::vector<uint64_t> lanes;  // what each thread shows to its warp

inline Barrier& warp_barrier() { return *warp_barriers[thread_number / 32]; }

template <class T>
T from_lane(T value, unsigned lane) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    std::memcpy(&lanes[thread_number], &value, sizeof(T));
    warp_barrier().wait();
    const unsigned other = thread_number / 32 * 32 + lane;
    if (lane < 32 && other < lanes.size()) std::memcpy(&value, &lanes[other], sizeof(T));
    warp_barrier().wait();
    return value;
}

inline float float_from_half(unsigned short bits) {
    _Float16 half;
    std::memcpy(&half, &bits, sizeof half);
    return half;
}
inline unsigned short half_from_float(float value) {
    const _Float16 half = _Float16(value);
    unsigned short bits;
    std::memcpy(&bits, &half, sizeof bits);
    return bits;
}

template <class Body>
void launch(dim3 grid, dim3 block, Body body) {
    const unsigned threads = block.x * block.y * block.z;
    gridDim = grid;
    blockDim = block;
    Barrier barrier(threads), between_blocks(threads);
    block_barrier = &barrier;
    warp_barriers.clear();
    for (unsigned first = 0; first < threads; first += 32)
        warp_barriers.push_back(std::make_unique<Barrier>(std::min(32u, threads - first)));
    lanes.assign(threads, 0);
    run_threads(threads, [&] {
        for (unsigned z = 0; z < grid.z; ++z)
            for (unsigned y = 0; y < grid.y; ++y)
                for (unsigned x = 0; x < grid.x; ++x) {
                    blockIdx = {x, y, z};
                    body();
                    barrier.leave();
                    warp_barrier().leave();
                    between_blocks.wait();
                    barrier.come_back();
                    warp_barrier().come_back();
                    between_blocks.wait();
                }
    });
}

}  // namespace emulated

inline void __syncthreads() { emulated::block_barrier->wait(); }
inline void __syncwarp(unsigned = ~0u) { emulated::warp_barrier().wait(); }
template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned mask) {
    return emulated::from_lane(value, (emulated::thread_number % 32) ^ mask);
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned distance) {
    return emulated::from_lane(value, emulated::thread_number % 32 + distance);
}
