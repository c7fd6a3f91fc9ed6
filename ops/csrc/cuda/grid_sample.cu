// Bilinear sampling with zeros outside the image and align_corners=False, and its transpose (ops/grid_sample.py).
// A thread handles one position with all its channels, so that the weights are computed once.
#include "platform.cuh"

// Along one axis: the pixel before a position, and the distance from that pixel to the position.
template <typename A>
struct Position {
    A pixel, beyond;

    __device__ Position(A normalised, int64 size) {
        const A at = ((normalised + A(1)) * A(size) - A(1)) / A(2);
        pixel = floor(at);
        beyond = at - pixel;
    }
    __device__ bool has(int corner, int64 size) const {  // also false for NaN and infinity
        return pixel + A(corner) >= A(0) && pixel + A(corner) < A(size);
    }
    __device__ A weight(int corner) const { return corner ? beyond : A(1) - beyond; }
};

// Call visit(offset within one channel of the image, weight) for each of the four pixels inside the image.
template <typename T, typename Visit>
__device__ inline void corners(const GridSampleParams& p, int64 at, const Visit& visit) {
    typedef Accumulation<T> A;
    const T* xy = (const T*)p.grid + at * 2;
    const int64 width = p.image_size[3], height = p.image_size[2];
    const Position<A> x(widen(xy[0]), width), y(widen(xy[1]), height);
#pragma unroll
    for (int corner = 0; corner < 4; corner++) {
        const int right = corner % 2, below = corner / 2;
        if (!x.has(right, width) || !y.has(below, height)) continue;
        const int64 column = (int64)x.pixel + right, row = (int64)y.pixel + below;
        visit(row * p.image_stride[2] + column * p.image_stride[3], x.weight(right) * y.weight(below));
    }
}

template <typename T>
__device__ inline void grid_sample(const GridSampleParams& p) {
    const int64 total = p.image_size[0] * p.sample_size[0] * p.sample_size[1];
    for (int64 i = thread_index(); i < total; i += thread_count()) {
        int64 n = i;
        const int64 w = split(n, p.sample_size[1]), h = split(n, p.sample_size[0]);
        const T* image = (const T*)p.x + n * p.image_stride[0];
        T* sample = (T*)p.y + n * p.sample_stride[0];
        sample += h * p.sample_stride[2] + w * p.sample_stride[3];
        for (int64 c = 0; c < p.image_size[1]; c++) {
            Accumulation<T> sum = 0;
            corners<T>(p, i, [&](int64 at, Accumulation<T> weight) {
                sum += weight * widen(image[c * p.image_stride[1] + at]);
            });
            narrow(sum, sample[c * p.sample_stride[1]]);
        }
    }
}

// y has the accumulation type: half precision cannot hold a sum of hundreds of samples accurately.
template <typename T>
__device__ inline void grid_sample_transposed(const GridSampleParams& p) {
    typedef Accumulation<T> A;
    const int64 total = p.image_size[0] * p.sample_size[0] * p.sample_size[1];
    for (int64 i = thread_index(); i < total; i += thread_count()) {
        int64 n = i;
        const int64 w = split(n, p.sample_size[1]), h = split(n, p.sample_size[0]);
        const T* sample = (const T*)p.x + n * p.sample_stride[0];
        sample += h * p.sample_stride[2] + w * p.sample_stride[3];
        A* image = (A*)p.y + n * p.image_stride[0];
        for (int64 c = 0; c < p.image_size[1]; c++) {
            const A value = widen(sample[c * p.sample_stride[1]]);
            corners<T>(p, i, [&](int64 at, A weight) {
                atomicAdd(image + c * p.image_stride[1] + at, weight * value);
            });
        }
    }
}

#define GRID_SAMPLE(T, type) \
    KERNEL(grid_sample_##type, GridSampleParams, 256) { grid_sample<T>(p); } \
    KERNEL(grid_sample_transposed_##type, GridSampleParams, 256) { grid_sample_transposed<T>(p); }

GRID_SAMPLE(float, float32)
GRID_SAMPLE(double, float64)
GRID_SAMPLE(Half, float16)
GRID_SAMPLE(BFloat16, bfloat16)
