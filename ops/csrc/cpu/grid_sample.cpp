// Bilinear sampling with zeros outside the image, and its transpose (ops/grid_sample.py).
#include <algorithm>
#include <optional>
#include <vector>

#include "cpu/memory.h"
#include "cpu/fir.h"

namespace {

constexpr int64 TASKS = 4;     // the transpose splits channels if there are fewer images
constexpr int64 TOGETHER = 4;  // channels that share the location of a sample

// The four pixels around each sample of one row of the grid. Pixels outside the image are replaced by pixels inside
// it with a weight of -0, whose sign says that they do not count.
template <class T>
struct Row {
    typedef Accumulation<T> A;
    typedef typename BitsOf<A>::type Index;
    typedef Vector<A> V;
    const GridSampleParams& p;
    const int64 right, below;  // offset of the next pixel; 0 in images of one column or row
    const int64 room;          // elements per array
    std::vector<A> xy, x;
    std::vector<A> weights;      // of the upper left pixel, the one to its right, and the two below
    std::vector<int64> offsets;  // of the upper left pixel
    std::vector<Index> inside;   // whether all four count
    std::vector<char> all_inside;  // the same for a vector of samples

    Row(const GridSampleParams& p, int64 step_y, int64 step_x)
        : p(p),
          right(p.image_size[3] > 1 ? step_x : 0),
          below(p.image_size[2] > 1 ? step_y : 0),
          room(up_to_multiple(p.sample_size[1], LANES<A>)),
          xy(2 * room),
          x(2 * room),
          weights(4 * room),
          offsets(room),
          inside(room),
          all_inside(room / LANES<A>) {}

    void locate(int64 n, int64 row) {
        const int64 count = p.sample_size[1];
        const T* grid = static_cast<const T*>(p.grid) + (n * p.sample_size[0] + row) * count * 2;
        if constexpr (std::is_same_v<T, A>) {
            deinterleave(grid, 2 * count, 1, 2, room, x.data());
        } else {
            widen(xy.data(), grid, 2 * count);
            deinterleave(xy.data(), 2 * count, 1, 2, room, x.data());
        }
        for (int64 i = 0; i < count; i += LANES<A>) {
            V column, line, left_weight, right_weight, above_weight, below_weight;
            const Bits<A> all = along(load(&x[i]), p.image_size[3], column, left_weight, right_weight) &
                                along(load(&x[room + i]), p.image_size[2], line, above_weight, below_weight);
            store(&weights[i], product(left_weight, above_weight));
            store(&weights[room + i], product(right_weight, above_weight));
            store(&weights[2 * room + i], product(left_weight, below_weight));
            store(&weights[3 * room + i], product(right_weight, below_weight));
            for (int j = 0; j < LANES<A>; j++) offsets[i + j] = int64(line[j]) * below + int64(column[j]) * right;
            store(&inside[i], all);
            all_inside[i / LANES<A>] = all_of(all);
        }
    }

    // For positions in -1 … 1 along `size` pixels: a pixel, its weight, the next pixel's, and whether both count.
    static Bits<A> along(V position, int64 size, V& pixel, V& weight, V& next_weight) {
        const V at = ((position + 1) * A(size) - 1) / 2;
        const V low = broadcast(A(-2)), high = broadcast(A(size)), last = broadcast(A(std::max<int64>(size - 2, 0)));
        const V near = at > high ? high : at < low ? low : at;
        const V truncated = __builtin_convertvector(__builtin_convertvector(near, Bits<A>), V);
        const V floor = truncated > near ? truncated - 1 : truncated;
        const V rest = near == at ? at - floor : at - at;  // 0 far outside; NaN for NaN and infinity
        const V none = rest * A(-0.0);
        pixel = floor > last ? last : floor < 0 ? V{} : floor;
        const V shift = floor - pixel;
        weight = shift == 0 ? 1 - rest : shift == -1 ? rest : none;
        next_weight = size == 1 ? none : shift == 0 ? rest : shift == 1 ? 1 - rest : none;
        return size == 1 ? Bits<A>{} : Bits<A>(shift == 0);
    }

    // With the sign bit set if either factor has it set.
    static V product(V a, V b) {
        const Bits<A> sign = (bit_cast<Bits<A>>(a) | bit_cast<Bits<A>>(b)) & std::numeric_limits<Index>::min();
        return bit_cast<V>(bit_cast<Bits<A>>(a * b) | sign);
    }

    static bool all_of(const Bits<A>& mask) {
        uint64_t words[sizeof(mask) / 8], all = ~uint64_t(0);
        std::memcpy(words, &mask, sizeof(mask));
        for (uint64_t word : words) all &= word;
        return all == ~uint64_t(0);
    }

    // Weighted sum of get(offset) over the four pixels.
    template <class Get>
    auto sum(int64 i, Get get) const {
        const int64 at = offsets[i];
        const A *w = &weights[i], a = w[0], b = w[room], c = w[2 * room], d = w[3 * room];
        typedef decltype(get(at)) S;
        S top_left = get(at), top_right = get(at + right), left = get(at + below), last = get(at + below + right);
        if (!inside[i]) {  // a NaN weight may have its sign set, and still makes the sum NaN
            if (std::signbit(a)) top_left = S{};
            if (std::signbit(b)) top_right = S{};
            if (std::signbit(c)) left = S{};
            if (std::signbit(d)) last = S{};
        }
        return a * top_left + b * top_right + c * left + d * last;
    }

    // Call add(weight, offset) for the pixels that count.
    template <class Add>
    void scatter(int64 i, Add add) const {
        const int64 at = offsets[i], by[] = {0, right, below, below + right};
        for (int k = 0; k < 4; k++) {
            const A weight = weights[k * room + i];
            if (inside[i] || (weight >= 0 && !std::signbit(weight))) add(weight, at + by[k]);
        }
    }
};

template <class Run>
void with_count(int64 count, Run run) {
    switch (count) {
        case 1: return run(std::integral_constant<int, 1>());
        case 2: return run(std::integral_constant<int, 2>());
        case 3: return run(std::integral_constant<int, 3>());
        case 4: return run(std::integral_constant<int, 4>());
    }
}

// Whether a pixel's channels are neighbours in memory.
bool are_neighbours(const GridSampleParams& p) {
    return p.image_size[1] > 1 && p.image_stride[1] == 1 && p.sample_stride[1] == 1;
}

// Pixels and their right neighbours, both in the order of `at`, loaded two values at a time.
struct Pairs {
    Vector<float> left, right;

    Pairs(Vector<float> left, Vector<float> right) : left(left), right(right) {}

    Pairs(const float* image, const int64* at)
        : Pairs(image, at, std::make_integer_sequence<int, LANES<double>>(),
                std::make_integer_sequence<int, LANES<float>>()) {}

private:
    template <int... J, int... K>
    Pairs(const float* image, const int64* at, std::integer_sequence<int, J...>, std::integer_sequence<int, K...>) {
        // Arranged within each 128 bits of a register, so that one instruction separates left from right.
        const Vector<double> low = {two(image + at[J / 2 * 4 + J % 2])...};
        const Vector<double> high = {two(image + at[J / 2 * 4 + J % 2 + 2])...};
        const auto a = bit_cast<Vector<float>>(low), b = bit_cast<Vector<float>>(high);
        left = shuffled<even(K)...>(a, b);
        right = shuffled<even(K) + 1 ...>(a, b);
    }

    static constexpr int even(int k) { return k / 4 * 4 + k % 2 * 2 + (k % 4 < 2 ? 0 : LANES<float>); }

    static double two(const float* from) {
        double pair;
        std::memcpy(&pair, from, sizeof(pair));
        return pair;
    }
};

// The value, or zero where its weight does not count.
inline Vector<float> counted(Vector<float> weight, Vector<float> value) {
    return bit_cast<Bits<float>>(weight) < 0 ? Vector<float>{} : value;
}

// COUNT channels, whose images are `image_plane` apart and whose samples are `plane` apart.
template <int COUNT, class T>
[[gnu::noinline]] void sample_planes(const Row<T>& row, const T* image, int64 image_plane, T* to, int64 plane) {
    typedef Accumulation<T> A;
    const int64 width = row.p.sample_size[1], room = row.room;
    for (int64 begin = 0; begin < width; begin += LANES<A>) {
        const int64 end = std::min<int64>(begin + LANES<A>, width);
        if constexpr (std::is_same_v<T, float>)
            if (row.right == 1) {
                const A* w = &row.weights[begin];
                const Vector<A> a = load(w), b = load(w + room), c = load(w + 2 * room), d = load(w + 3 * room);
                const bool all = row.all_inside[begin / LANES<A>];
                for (int k = 0; k < COUNT; k++) {
                    const T* from = image + k * image_plane;
                    Pairs above(from, &row.offsets[begin]), below(from + row.below, &row.offsets[begin]);
                    if (!all) {
                        above = {counted(a, above.left), counted(b, above.right)};
                        below = {counted(c, below.left), counted(d, below.right)};
                    }
                    const auto sum = a * above.left + b * above.right + c * below.left + d * below.right;
                    narrow(to + k * plane + begin, sum, end - begin);
                }
                continue;
            }
        for (int k = 0; k < COUNT; k++) {
            A sums[LANES<A>];
            for (int64 i = begin; i < end; i++)
                sums[i - begin] = row.sum(i, [&](int64 at) { return widen_one(image[k * image_plane + at]); });
            narrow(to + k * plane + begin, sums, end - begin);
        }
    }
}

// All channels, which are neighbours in memory. `size` values remain from `image` to the end of its tensor; `to` has
// room for one vector more.
template <class T, class A>
[[gnu::noinline]] void sample_pixels(const Row<T>& row, const T* image, int64 size, A* to) {
    const int64 width = row.p.sample_size[1], channels = row.p.image_size[1], room = row.room;
    const int64 right = row.right, below = row.below, whole = up_to_multiple(channels, LANES<A>);
    for (int64 i = 0; i < width; i++, to += channels) {
        // Values stored beyond this pixel's channels are overwritten by the next pixel's.
        const T* at = image + row.offsets[i];
        if (row.inside[i] && row.offsets[i] + below + right + whole <= size) {
            const A* w = &row.weights[i];
            const A a = w[0], b = w[room], c = w[2 * room], d = w[3 * room];
            for (int64 j = 0; j < channels; j += LANES<A>, at += LANES<A>)
                store(to + j, a * widen(at) + b * widen(at + right) + c * widen(at + below) +
                                  d * widen(at + below + right));
        } else {
            for (int64 j = 0; j < channels; j += LANES<A>)
                store(to + j, row.sum(i, [&](int64 at) { return widen(image + at + j, channels - j); }));
        }
    }
}

template <class T>
void sample(const GridSampleParams& p) {
    typedef Accumulation<T> A;
    const int64 channels = p.image_size[1], width = p.sample_size[1], height = p.sample_size[0];
    const int64 *from = p.image_stride, *to = p.sample_stride;
    const bool neighbours = are_neighbours(p);
    advise_huge_pages(p.y, p.image_size[0] * channels * height * width * sizeof(T));
    int64 size = 1;  // extent of the images in memory
    for (int axis = 0; axis < 4; axis++) size += (p.image_size[axis] - 1) * from[axis];
    Shortage shortage;
#pragma omp parallel if (p.image_size[0] * channels * height * width > 1 << 14)
    {
        std::optional<Row<T>> memory;
        std::vector<A> result;
        shortage.attempt([&] {
            result.resize(neighbours ? width * channels + LANES<A> : 0);
            memory.emplace(p, from[2], from[3]);
        });
#pragma omp for schedule(static)
        for (int64 task = 0; task < p.image_size[0] * height; task++) {
            if (!memory) continue;
            Row<T>& row = *memory;
            const int64 n = task / height, h = task % height;
            row.locate(n, h);
            const T* image = static_cast<const T*>(p.x) + n * from[0];
            T* out = static_cast<T*>(p.y) + n * to[0] + h * to[2];
            if (neighbours) {
                sample_pixels(row, image, size - n * from[0], result.data());
                narrow(out, result.data(), width * channels);
                continue;
            }
            for (int64 c = 0; c < channels; c += TOGETHER)
                with_count(std::min(TOGETHER, channels - c), [&](auto count) {
                    sample_planes<count.value>(row, image + c * from[1], from[1], out + c * to[1], to[1]);
                });
        }
    }
    shortage.raise();
}

template <class T>
void spread(const GridSampleParams& p) {
    typedef Accumulation<T> A;
    const int64 channels = p.image_size[1], pixels = p.image_size[2] * p.image_size[3];
    const int64 *from = p.sample_stride, *to = p.image_stride;
    const bool last = to[1] == 1 && channels > 1, vectors = are_neighbours(p) && channels >= LANES<A>;
    // One thread sums a channel of an image, so that the order of additions does not depend on the number of threads.
    const int64 share = up_to_multiple((channels + TASKS - 1) / TASKS, 64 / sizeof(A));  // whole cache lines
    const int64 chunk = p.image_size[0] < TASKS ? std::min(channels, share) : channels;
    const int64 chunks = (channels + chunk - 1) / chunk;
    constexpr bool in_place = std::is_same_v<T, A>;  // else in scratch memory of the wider type
    const int64 pixel = !last ? 1 : in_place ? channels : chunk, plane = last ? 1 : pixels;
    advise_huge_pages(p.y, p.image_size[0] * channels * pixels * sizeof(T));
    Shortage shortage;
#pragma omp parallel if (p.image_size[0] * channels * p.sample_size[0] * p.sample_size[1] > 1 << 14)
    {
        std::optional<Row<T>> memory;
        A* own_sums = nullptr;
        shortage.attempt([&] {
            if constexpr (!in_place) own_sums = scratch<A>(chunk * pixels);
            memory.emplace(p, p.image_size[3] * pixel, pixel);
        });
#pragma omp for schedule(static)
        for (int64 task = 0; task < p.image_size[0] * chunks; task++) {
            if (!memory) continue;
            Row<T>& row = *memory;
            const int64 n = task / chunks, first = task % chunks * chunk, count = std::min(chunk, channels - first);
            T* out = static_cast<T*>(p.y) + n * to[0] + first * to[1];
            A* sums = own_sums;
            if constexpr (in_place) sums = out;
            for (int64 i = 0; i < (last ? pixels : count); i++)
                std::fill_n(sums + i * (last ? pixel : plane), last ? count : pixels, A(0));
            for (int64 h = 0; h < p.sample_size[0]; h++) {
                row.locate(n, h);
                const T* u = static_cast<const T*>(p.x) + n * from[0] + first * from[1] + h * from[2];
                for (int64 i = 0; vectors && i < p.sample_size[1]; i++)
                    row.scatter(i, [&](A weight, int64 at) {
                        for (int64 c = 0; c < count; c += LANES<A>) {
                            const int64 rest = count - c;
                            const auto add = weight * widen(u + i * from[3] + c, rest);
                            narrow(sums + at + c, widen(sums + at + c, rest) + add, rest);
                        }
                    });
                for (int64 c = 0; !vectors && c < count; c += TOGETHER)
                    with_count(std::min(TOGETHER, count - c), [&](auto constant) {
                        constexpr int COUNT = constant.value;
                        for (int64 i = 0; i < p.sample_size[1]; i++) {
                            A values[COUNT];
                            for (int k = 0; k < COUNT; k++) values[k] = widen_one(u[i * from[3] + (c + k) * from[1]]);
                            row.scatter(i, [&](A weight, int64 at) {
                                for (int k = 0; k < COUNT; k++) sums[at + (c + k) * plane] += weight * values[k];
                            });
                        }
                    });
            }
            if (in_place) continue;
            for (int64 i = 0; i < (last ? pixels : count); i++)
                narrow(out + i * (last ? channels : plane), sums + i * (last ? pixel : plane), last ? count : pixels);
        }
    }
    shortage.raise();
}

}  // namespace

extern "C" int grid_sample(const GridSampleParams* p) {
    return with_scalar_type(p->dtype, [&](auto scalar) {
        sample<decltype(scalar)>(*p);
        return 0;
    });
}

extern "C" int grid_sample_transposed(const GridSampleParams* p) {
    return with_scalar_type(p->dtype, [&](auto scalar) {
        spread<decltype(scalar)>(*p);
        return 0;
    });
}
