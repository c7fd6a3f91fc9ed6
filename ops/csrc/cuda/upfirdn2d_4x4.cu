// Filters of 4x4 taps at the same size, up 2 and down 2 (ops/upfirdn2d.py), with the epilogue; limited by memory
// bandwidth.
#include "fir.cuh"

// Channels last, without shared memory. A thread computes 2x2 outputs for 16 bytes of channels. Loads of the window
// are coalesced along the channels, and inputs that neighbouring threads share come from the L1 cache.
template <typename T, int Up, int Down>
__device__ inline void filter_channels(const Upfirdn2dParams& p) {
    typedef Accumulation<T> A;
    typedef Fir<Up, Down, 4> Axis;
    constexpr int V = Vector<T>::size, Run = 2, Window = Axis::window(Run);
    const ActivationOptions<A> options(p.epilogue, false);
    A taps[16];
    load_taps(p.f, p.flip, A(p.gain), taps);

    const int64 vectors = p.out_size[1] / V;
    const int64 runs_x = Axis::runs(p.out_size[3], p.pad_x0, Run);
    const int64 runs_y = Axis::runs(p.out_size[2], p.pad_y0, Run);
    const int64 items = p.out_size[0] * runs_y * runs_x * vectors;
    for (int64 item = thread_index(); item < items; item += thread_count()) {
        int64 n = item;
        const int64 c = split(n, vectors) * V;
        const int out_x = Axis::first_output(split(n, runs_x), p.pad_x0, Run);
        const int out_y = Axis::first_output(split(n, runs_y), p.pad_y0, Run);
        const int in_x = Axis::first_input(out_x, p.pad_x0), in_y = Axis::first_input(out_y, p.pad_y0);

        const T* corner = (const T*)p.x + offset(p.in_stride, n, c, in_y, in_x);
        A sum[Run * Run][V] = {};
#pragma unroll
        for (int wy = 0; wy < Window; wy++) {
#pragma unroll
            for (int wx = 0; wx < Window; wx++) {
                A v[V] = {};
                if (inside(in_y + wy, p.in_size[2]) && inside(in_x + wx, p.in_size[3]))
                    load<V>(corner + wy * p.in_stride[2] + wx * p.in_stride[3], v);
#pragma unroll
                for (int o = 0; o < Run * Run; o++) {
                    const int ky = Axis::tap(wy, o / Run), kx = Axis::tap(wx, o % Run);
                    if (ky < 0 || ky >= 4 || kx < 0 || kx >= 4) continue;
#pragma unroll
                    for (int k = 0; k < V; k++) sum[o][k] += taps[ky * 4 + kx] * v[k];
                }
            }
        }
        const ChannelTerms<V, A> terms(p.epilogue, n, c, p.out_size[1]);
#pragma unroll
        for (int o = 0; o < Run * Run; o++) {
            const int y = out_y + o / Run, x = out_x + o % Run;
            if (!inside(y, p.out_size[2]) || !inside(x, p.out_size[3])) continue;
            if (p.has_epilogue) {
                A noise[V] = {};
                if (p.epilogue.noise) load_or_fill<false>(noise_at<A>(p, n, y, x), noise);
                apply(options, terms, noise, sum[o]);
            }
            store<V>((T*)p.y + offset(p.out_stride, n, c, y, x), sum[o]);
        }
    }
}

// Any strides; meant for NCHW. A warp computes a tile of 32 columns: it copies the inputs to shared memory, from
// which each thread computes a block of outputs, four columns wide.
template <typename T, int Up, int Down>
struct PlaneTile {
    typedef Fir<Up, Down, 4> Axis;
    static constexpr int warps = 4;
    static constexpr int run_x = 4, run_y = Down == 2 ? 2 : 4;  // outputs per thread
    static constexpr int out_w = 8 * run_x, out_h = 4 * run_y;  // outputs per warp of 8 x 4 threads
    static constexpr int in_w = Axis::window(out_w), in_h = Axis::window(out_h);
    static constexpr int pitch = (in_w + 3) / 4 * 4;  // keeps rows aligned for 16-byte reads
};

template <typename T, int Up, int Down>
__device__ inline void filter_planes(const Upfirdn2dParams& p) {
    typedef Accumulation<T> A;
    typedef Fir<Up, Down, 4> Axis;
    typedef PlaneTile<T, Up, Down> Tile;
    constexpr int RunX = Tile::run_x, RunY = Tile::run_y;
    constexpr int WindowX = Axis::window(RunX), WindowY = Axis::window(RunY);
    SHARED(A, tiles, Tile::warps * Tile::in_h * Tile::pitch);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    A* tile = tiles + warp * Tile::in_h * Tile::pitch;
    const ActivationOptions<A> options(p.epilogue, false);
    A taps[16];
    load_taps(p.f, p.flip, A(p.gain), taps);

    const int64 tiles_x = Axis::runs(p.out_size[3], p.pad_x0, Tile::out_w);
    const int64 tiles_y = Axis::runs(p.out_size[2], p.pad_y0, Tile::out_h);
    const int64 items = p.out_size[0] * p.out_size[1] * tiles_y * tiles_x;
    for (int64 item = thread_index() / 32; item < items; item += thread_count() / 32) {
        int64 n = item;
        const int tile_x = Axis::first_output(split(n, tiles_x), p.pad_x0, Tile::out_w);
        const int tile_y = Axis::first_output(split(n, tiles_y), p.pad_y0, Tile::out_h);
        const int64 c = split(n, p.out_size[1]);
        const int in_x = Axis::first_input(tile_x, p.pad_x0), in_y = Axis::first_input(tile_y, p.pad_y0);
        const T* plane = (const T*)p.x + n * p.in_stride[0] + c * p.in_stride[1];
        load_tile<Tile::in_h, Tile::in_w, Tile::pitch, 32>(p, plane, in_y, in_x, lane, tile);
        __syncwarp();

        const int x0 = lane % 8 * RunX, y0 = lane / 8 * RunY;  // the thread's first output in the tile
        A sum[RunY][RunX] = {};
#pragma unroll
        for (int wy = 0; wy < WindowY; wy++) {
            const A* row = tile + (y0 * Down / Up + wy) * Tile::pitch + x0 * Down / Up;
            A v[WindowX];
            load_in_steps<Up == 2 ? 2 : 4>(row, v);  // neighbouring threads start this far apart, or twice
#pragma unroll
            for (int o = 0; o < RunY * RunX * WindowX; o++) {
                const int oy = o / WindowX / RunX, ox = o / WindowX % RunX, wx = o % WindowX;
                const int ky = Axis::tap(wy, oy), kx = Axis::tap(wx, ox);
                if (ky < 0 || ky >= 4 || kx < 0 || kx >= 4) continue;
                sum[oy][ox] += taps[ky * 4 + kx] * v[wx];
            }
        }
        __syncwarp();  // all threads have read the tile; the next item may overwrite it
        const ChannelTerms<1, A> terms(p.epilogue, n, c, p.out_size[1]);
#pragma unroll
        for (int oy = 0; oy < RunY; oy++) {
            const int y = tile_y + y0 + oy;
            if (inside(y, p.out_size[2]))
                store_run(p, options, terms, n, c, y, tile_x + x0, sum[oy], (T*)p.y);
        }
    }
}

#define UPFIRDN2D_4X4(T, type, up, down) \
    KERNEL(upfirdn2d_4x4_channels_up##up##_down##down##_##type, Upfirdn2dParams, 256) { \
        filter_channels<T, up, down>(p); \
    } \
    KERNEL(upfirdn2d_4x4_planes_up##up##_down##down##_##type, Upfirdn2dParams, 128) { \
        filter_planes<T, up, down>(p); \
    }
#define UPFIRDN2D_4X4_FACTORS(T, type) \
    UPFIRDN2D_4X4(T, type, 1, 1) UPFIRDN2D_4X4(T, type, 2, 1) UPFIRDN2D_4X4(T, type, 1, 2)

UPFIRDN2D_4X4_FACTORS(float, float32)
UPFIRDN2D_4X4_FACTORS(Half, float16)
UPFIRDN2D_4X4_FACTORS(BFloat16, bfloat16)
