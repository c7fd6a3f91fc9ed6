// Upsample, pad, FIR-filter, downsample, then the epilogue, if any (ops/upfirdn2d.py, ops/epilogue.py).
//
// A thread works down a block of output rows. An input row becomes a line: widened, with zeros at its ends. Lines
// are filtered along x into a ring buffer of as many rows as the filter reaches; weighted sums of these rows are
// the output. In channels last, a row holds all channels of its pixels; in NCHW, those of one channel, or of
// several narrow images side by side. So every inner loop runs over memory in order, whatever the layout and the
// factors: where downsampling would skip pixels, lines are first deinterleaved into `step` parts; where upsampling
// would, the `period` phases of the output are computed separately and then interleaved.
#include <limits>
#include <optional>
#include <type_traits>

#include "cpu/activation.h"
#include "cpu/memory.h"
#include "cpu/fir.h"

namespace {

constexpr int64 RING_BYTES = 128 << 10;  // within the cache of one core
constexpr int64 TASKS = 16;              // keep many threads busy; must not depend on the number of threads
constexpr int64 NARROW = 256;            // values; shorter rows are joined

template <class A>
using FinishRow = void (*)(const Epilogue&, const A* x, const A* scale, const A* shift, A* y, int64 count);

template <int ACT, class A>
void finish(const Epilogue& e, const A* x, const A* scale, const A* shift, A* y, int64 count) {
    const A alpha = A(e.alpha), gain = A(e.gain);
    const A clamp = e.clamp < 0 ? std::numeric_limits<A>::quiet_NaN() : A(e.clamp);  // a NaN limits nothing
    for (int64 j = 0; j < count; j += LANES<A>) {
        Vector<A> v = load(x + j) * load(scale + j) + load(shift + j);
        v = activate<ACT>(v, alpha) * gain;
        v = v > clamp ? broadcast(clamp) : v < -clamp ? broadcast(-clamp) : v;
        narrow(y + j, v, count - j);
    }
}

int64 parts_of(int64 size, int64 part) { return (size + part - 1) / part; }

// How the work is divided.
template <class T>
struct Plan {
    typedef Accumulation<T> A;
    const Upfirdn2dParams& p;
    Taps<A> taps;
    const Axis x, y;
    const int64 channels, height, width;  // of the output
    const int64 inner;                    // values per pixel: all channels, or 1 in NCHW
    const bool by_pixels;                 // sums run over a pixel's channels, so nothing is deinterleaved
    const bool dense;                     // an input row has the memory order of a line
    const bool passes;                    // along x there is only padding or cropping
    int64 periods, tiles;                 // periods per tile along x, and number of tiles
    int64 images, groups;                 // images of a sample per group (1 in channels last), and groups
    int64 rows, blocks;                   // rows per block along y, and number of blocks
    int64 image_pitch;                    // periods from one joined image to the next, including room for the filter
    int64 pitch;                          // room, in values, for a part of a line or row
    FinishRow<A> finish_row = nullptr;

    explicit Plan(const Upfirdn2dParams& p)
        : p(p),
          taps(static_cast<const A*>(p.f), p.fw, p.fh, p.separable, p.flip, A(p.gain)),
          x(p.fw, p.up_x, p.down_x, p.pad_x0),
          y(p.separable ? p.fw : p.fh, p.up_y, p.down_y, p.pad_y0),
          channels(p.out_size[1]),
          height(p.out_size[2]),
          width(p.out_size[3]),
          inner(p.out_stride[3] == 1 ? 1 : channels),
          by_pixels(inner >= LANES<A> && x.period * x.step > 1),
          dense(p.in_stride[3] == inner && (inner == 1 || p.in_stride[1] == 1)),
          passes(taps.separable && x.passes_through()) {
        if (passes)
            for (A& tap : taps.along_y) tap *= taps.along_x[x.phases[0].tap];
        const int64 all = parts_of(width, x.period);
        const int64 fitting = RING_BYTES / int64(sizeof(A)) / (y.most + 1) / (inner * x.period);
        periods = std::clamp<int64>(fitting, std::min<int64>(16, all), all);
        tiles = parts_of(all, periods);
        image_pitch = periods + parts_of(x.reach, x.step);
        images = inner == 1 && tiles == 1 ? std::clamp<int64>(NARROW / image_pitch, 1, channels) : 1;
        groups = inner == 1 ? parts_of(channels, images) : 1;
        pitch = up_to_multiple(images * image_pitch * inner, LANES<A>) + LANES<A>;
        rows = std::max<int64>(8, parts_of(height, std::max<int64>(1, TASKS / (samples() * groups * tiles))));
        blocks = parts_of(height, rows);
        if (p.has_epilogue)
            with_activation(p.epilogue.activation, [&](auto act) { finish_row = finish<act.value, A>; });
    }

    int64 samples() const { return std::max<int64>(1, p.out_size[0]); }
    int64 line_size() const { return x.step * pitch; }
    int64 row_size() const { return x.period * pitch; }
};

// What one thread works on: rows of a tile of one or more images.
template <class T>
struct Tile {
    typedef Accumulation<T> A;
    const Plan<T>& plan;
    const Upfirdn2dParams& p;
    const Axis &x, &y;
    A *stage, *line, *parts, *result, *scale, *shift, *bias;
    std::vector<A*> ring;                    // lines if the filter is not separable
    std::vector<WeightedRows<A>> along_x;    // by phase, of `line`
    std::vector<const A*> row_at;            // where a slot's row lies: in the ring, or in x itself
    std::vector<int64> taps, slots;          // of the current output row
    WeightedRows<A> sum;
    int64 n, channel, images, from, to, column, pixels;
    bool direct;                             // rows of x serve as rows of the ring

    explicit Tile(const Plan<T>& plan) : plan(plan), p(plan.p), x(plan.x), y(plan.y), row_at(plan.y.most) {
        const int64 line_size = plan.line_size(), row_size = plan.row_size();
        const int64 slot = std::max(line_size, row_size);
        A* memory = scratch<A>(2 * line_size + 4 * row_size + plan.inner + y.most * slot);
        const auto take = [&memory](int64 size) { return memory += size, memory - size; };
        stage = take(line_size);
        line = take(line_size);
        parts = take(row_size);
        result = take(row_size);
        scale = take(row_size);
        shift = take(row_size);
        bias = take(plan.inner);
        for (int64 i = 0; i < y.most; i++) ring.push_back(take(slot));
        for (int64 r = 0; r < x.period; r++) {
            along_x.emplace_back();
            add_taps(along_x[r], r, line, plan.taps.along_x.data());
        }
    }

    // Move to the images from `channel` on of sample n, and to the columns of output periods from … to - 1.
    void place(int64 n, int64 channel, int64 from, int64 to) {
        this->n = n;
        this->channel = channel;
        this->from = from;
        this->to = to;
        images = std::min(plan.images, plan.channels - channel);
        column = from * x.period;
        pixels = std::min(plan.width, to * x.period) - column;
        direct = std::is_same_v<T, A> && plan.passes && plan.dense && images == 1 && from + x.low >= 0 &&
                 to + x.low <= p.in_size[3];
        if (!p.has_epilogue) return;
        const A* given = static_cast<const A*>(p.epilogue.scale);
        for (int64 k = 0; k < images; k++)
            for (int64 i = 0; i < pixels; i++)
                for (int64 c = 0; c < plan.inner; c++)
                    scale[(k * image_pitch() + i) * plan.inner + c] =
                        given ? given[n * plan.channels + channel + k + c] : A(1);
        if (!p.epilogue.noise) make_shift(nullptr);
    }

    int64 image_pitch() const { return plan.image_pitch * x.period; }  // pixels

    // What the epilogue adds: noise[pixel] + b[channel].
    void make_shift(const A* noise) {
        const A* b = static_cast<const A*>(p.epilogue.b);
        for (int64 k = 0; k < images; k++) {
            for (int64 c = 0; c < plan.inner; c++) bias[c] = b ? b[channel + k + c] : A(0);
            A* at = shift + k * image_pitch() * plan.inner;
            if (plan.inner == 1)
                for (int64 i = 0; i < pixels; i++) at[i] = bias[0] + (noise ? noise[i] : A(0));
            else
                for (int64 i = 0; i < pixels; i++)
                    for (int64 c = 0; c < plan.inner; c++) *at++ = bias[c] + (noise ? noise[i] : A(0));
        }
    }

    void compute(int64 begin, int64 end) {
        int64 made = std::numeric_limits<int64>::min();  // the latest row in the ring
        for (int64 row = begin; row < end; row++) {
            const auto& phase = y.phases[row % y.period];
            taps.clear();
            slots.clear();
            for (int64 t = 0; t < phase.count; t++) {
                const int64 source = phase.first + row / y.period * y.step + t;
                if (source < 0 || source >= p.in_size[2]) continue;
                taps.push_back(phase.tap + t * y.up);
                slots.push_back(source % y.most);
                if (source > made) make_row(made = source, slots.back());
            }
            put(row);
        }
    }

    const T* image(int64 k) const {
        return static_cast<const T*>(p.x) + n * p.in_stride[0] + (channel + k) * p.in_stride[1];
    }

    void make_row(int64 source, int64 slot) {
        if constexpr (std::is_same_v<T, A>)
            if (direct) {
                row_at[slot] = image(0) + source * p.in_stride[2] + (from + x.low) * p.in_stride[3];
                return;
            }
        row_at[slot] = ring[slot];
        if (plan.passes || !plan.taps.separable) return make_line(source, ring[slot]);
        make_line(source, line);
        filter_along_x(along_x, ring[slot]);
    }

    void add_taps(WeightedRows<A>& sum, int64 phase, const A* of_line, const A* weights) const {
        const auto& [first, tap, count] = x.phases[phase];
        for (int64 t = 0; t < count; t++) {
            const int64 at = first - x.low + t;
            const int64 offset =
                plan.by_pixels ? at * plan.inner : at % x.step * plan.pitch + at / x.step * plan.inner;
            sum.add(of_line + offset, weights[tap + t * x.up]);
        }
    }

    void filter_along_x(std::vector<WeightedRows<A>>& phases, A* to_row) {
        const int64 inner = plan.inner;
        for (int64 r = 0; r < x.period; r++) {
            if (plan.by_pixels) {
                phases[r].times = to - from;
                phases[r].step = x.step * inner;
                phases[r].to_step = x.period * inner;
                phases[r].sum(inner, true, to_row + r * inner);
            } else {
                const int64 count = ((images - 1) * plan.image_pitch + to - from) * inner;
                A* const part = x.period == 1 ? to_row : parts + r * plan.pitch;
                phases[r].sum(up_to_multiple(count, LANES<A>), true, part);
            }
        }
        if (x.period > 1 && !plan.by_pixels)
            interleave(parts, x.period, plan.pitch, (images - 1) * image_pitch() + pixels, inner, to_row);
    }

    // Compute row `row` of the output from the rows in the ring.
    void put(int64 row) {
        T* out = static_cast<T*>(p.y) + n * p.out_stride[0] + channel * p.out_stride[1] + row * p.out_stride[2] +
                 column * p.out_stride[3];
        const int64 count = ((images - 1) * image_pitch() + pixels) * plan.inner;
        A* last = result;  // target of the last step: the output itself if contiguous and of type A
        if constexpr (std::is_same_v<T, A>)
            if (images == 1 && (p.has_epilogue || plan.taps.separable)) last = out;
        A* const sums = p.has_epilogue ? result : last;
        if (plan.taps.separable) {
            sum.clear();
            for (size_t i = 0; i < taps.size(); i++) sum.add(row_at[slots[i]], plan.taps.along_y[taps[i]]);
            sum.sum(count, !direct, sums);
        } else {
            std::vector<WeightedRows<A>> phases(x.period);
            for (int64 r = 0; r < x.period; r++)
                for (size_t i = 0; i < taps.size(); i++)
                    add_taps(phases[r], r, row_at[slots[i]], plan.taps.full.data() + taps[i] * p.fw);
            filter_along_x(phases, sums);
        }
        if (p.has_epilogue) {
            const A* noise = static_cast<const A*>(p.epilogue.noise);
            if (noise) make_shift(noise + n * p.epilogue.noise_stride + row * plan.width + column);
            plan.finish_row(p.epilogue, result, scale, shift, last, count);
        }
        if (last != result) return;
        for (int64 k = 0; k < images; k++)
            narrow(out + k * p.out_stride[1], result + k * image_pitch() * plan.inner, pixels * plan.inner);
    }

    // Line of input row `source`, from the first column that this tile needs.
    void make_line(int64 source, A* to_line) {
        const int64 begin = from * x.step + x.low, size = (to - from - 1) * x.step + x.reach;
        for (int64 k = 0; k < images; k++) {
            const T* row = image(k) + source * p.in_stride[2];
            A* at = to_line + k * plan.image_pitch * plan.inner;
            const bool plain = x.step == 1 || plan.by_pixels;
            copy_padded(row, begin, size, plain ? at : stage);
            if (!plain) deinterleave(stage, size, plan.inner, x.step, plan.pitch, at);
        }
    }

    // Copy `size` pixels of a row from pixel `begin` on, with zeros outside the image.
    void copy_padded(const T* row, int64 begin, int64 size, A* to_line) const {
        const int64 inner = plan.inner, before = std::clamp<int64>(-begin, 0, size);
        const int64 end = std::clamp<int64>(p.in_size[3] - begin, before, size);
        std::fill_n(to_line, before * inner, A(0));
        std::fill_n(to_line + end * inner, (size - end) * inner, A(0));
        if (plan.dense) return widen(to_line + before * inner, row + (begin + before) * inner, (end - before) * inner);
        for (int64 i = before; i < end; i++)
            for (int64 c = 0; c < inner; c++)
                to_line[i * inner + c] = widen_one(row[(begin + i) * p.in_stride[3] + c * p.in_stride[1]]);
    }
};

template <class T>
void run(const Plan<T>& plan) {
    const int64 tasks = plan.p.out_size[0] * plan.groups * plan.blocks * plan.tiles;
    const int64 size = plan.p.out_size[0] * plan.channels * plan.height * plan.width;
    const int64 periods = parts_of(plan.width, plan.x.period);
    advise_huge_pages(plan.p.y, size * sizeof(T));
    Shortage shortage;
#pragma omp parallel if (size > 1 << 14)
    {
        std::optional<Tile<T>> tile;
        shortage.attempt([&] { tile.emplace(plan); });
#pragma omp for schedule(static)
        for (int64 task = 0; task < tasks; task++) {
            if (!tile) continue;
            const int64 from = task % plan.tiles * plan.periods;
            const int64 row = task / plan.tiles % plan.blocks * plan.rows;
            const int64 group = task / plan.tiles / plan.blocks;
            shortage.attempt([&] {
                tile->place(group / plan.groups, group % plan.groups * plan.images, from,
                            std::min(periods, from + plan.periods));
                tile->compute(row, std::min(plan.height, row + plan.rows));
            });
        }
    }
    shortage.raise();
}

}  // namespace

extern "C" int upfirdn2d(const Upfirdn2dParams* p) {
    return with_scalar_type(p->dtype, [&](auto scalar) {
        run(Plan<decltype(scalar)>(*p));
        return 0;
    });
}
