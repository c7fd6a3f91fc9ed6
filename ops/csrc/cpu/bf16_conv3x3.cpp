// 3x3 convolution, channels last, with products of bfloat16 and sums, results and epilogue in float32.
#include <vector>

#include "cpu/bf16_layout.h"
#include "cpu/upsampling.h"

namespace {

constexpr int64 CHUNK = 256;  // positions whose results, 32 KB for a panel, stay in the cache until they are stored

struct Convolution {
    const Conv3x3Params& p;
    const Bf16Multiply multiply;
    const Layout layout;
    const int64 depth;  // channels of x, with zeros up to whole steps
    const int64 panels;
    BFloat16* const packed;  // [planes][length][depth]
    std::vector<int64> offsets;  // of every step of every tap

    Convolution(const Conv3x3Params& p, Bf16Multiply multiply)
        : p(p), multiply(multiply), layout(p.mode, p.n, p.h, p.w), depth(up_to_multiple(p.c, BF16_DEPTH)),
          panels((p.o + BF16_COLUMNS - 1) / BF16_COLUMNS),
          packed(scratch<BFloat16, 1>(layout.planes * layout.length * depth)) {
        for (const Tap tap : TAP)
            for (int64 c = 0; c < depth; c += BF16_DEPTH)
                offsets.push_back((layout.plane(tap) * layout.length + layout.offset(tap)) * depth + c);
        pack();
    }

    BFloat16* at(int plane, int64 position) const { return packed + (plane * layout.length + layout.lead + position) * depth; }

    // x times its styles, rounded; zero between the rows, before the first position and after the last.
    void pack() const {
#pragma omp parallel for collapse(2)
        for (int64 n = 0; n < p.n; n++)
            for (int64 y = 0; y <= layout.h; y++)
                for (int plane = 0; plane < layout.planes; plane++)
                    for (int64 x = 0; x <= layout.w; x++)
                        pack_pixel(n, layout.source(plane, y, x), at(plane, n * layout.per_image + y * layout.width + x));
        for (int plane = 0; plane < layout.planes; plane++) {
            std::fill(at(plane, -layout.lead), at(plane, 0), BFloat16{});
            std::fill(at(plane, layout.positions), at(plane, layout.length - layout.lead), BFloat16{});
        }
    }

    void pack_pixel(int64 n, int64 pixel, BFloat16* to) const {
        if (pixel < 0) return void(std::fill(to, to + depth, BFloat16{}));
        const float* x = static_cast<const float*>(p.x) + (n * layout.source_pixels() + pixel) * p.c;
        const float* s = p.s ? static_cast<const float*>(p.s) + n * p.c : nullptr;
        for (int64 c = 0; c < p.c; c += LANES<float>) narrow(to + c, s ? load(x + c) * load(s + c) : load(x + c));
        std::fill(to + p.c, to + depth, BFloat16{});
    }

    // Call put(n, y, x, sums of the panel's columns) for the positions from `begin` to `end` - 1.
    template <class Put>
    void each(Phase phase, int64 panel, int64 begin, int64 end, Put put) const {
        alignas(64) float values[CHUNK * BF16_COLUMNS];
        const int64 steps = depth / BF16_DEPTH;
        const BFloat16* weight = static_cast<const BFloat16*>(p.weight) + (panel * TAPS + phase.first) * steps * BF16_STEP;
        int64 n = begin / layout.per_image, y = begin % layout.per_image / layout.width, x = begin % layout.width;
        for (int64 start = begin; start < end; start += CHUNK) {
            const int64 count = std::min(CHUNK, end - start);
            multiply({at(0, start), offsets.data() + phase.first * steps, depth, weight, phase.taps * steps,
                      up_to_multiple(count, BF16_ROWS), values, false});
            for (int64 m = 0; m < count; m++) {
                put(n, y, x, values + m * BF16_COLUMNS);
                if (++x == layout.width) x = 0, y++;
                if (y == layout.h + 1) y = 0, n++;
            }
        }
    }

    void run() const {
        const Finish<float> finish(p.has_epilogue ? &p.epilogue : nullptr);
        const int64 pixels = layout.out_h() * layout.out_w();
        advise_huge_pages(p.y, p.n * pixels * p.o * sizeof(float));
        for (int i = 0; i < layout.phases(); i++) {
            const Phase phase = layout.phase(i);
#pragma omp parallel for collapse(2) schedule(dynamic)
            for (int64 start = 0; start < layout.positions; start += CHUNK)
                for (int64 panel = 0; panel < panels; panel++)
                    each(phase, panel, start, std::min(start + CHUNK, layout.positions),
                         [&](int64 n, int64 y, int64 x, const float* sums) {
                             const int64 pixel = layout.result(phase, y, x);
                             if (pixel < 0) return;
                             const int64 first = panel * BF16_COLUMNS, columns = std::min(BF16_COLUMNS, p.o - first);
                             float* to = static_cast<float*>(p.y) + (n * pixels + pixel) * p.o + first;
                             for (int64 c = 0; c < columns; c += LANES<float>)
                                 store(to + c, finish(load(sums + c), n, p.o, first + c, pixel));
                         });
        }
    }

    // For `upsample_filtered`: rows 2 i + parity of UP for inputs i = a … b - 1, before the filter.
    void operator()(int64 n, int64 panel, int parity, int64 a, int64 b, const Target<float>& target) const {
        const int64 image = n * layout.per_image;
        for (const Phase phase : UP_PHASES)
            if (phase.y == parity)
                each(phase, panel, image + a * layout.width, image + b * layout.width,
                     [&](int64, int64 y, int64 x, const float* sums) {
                         if (layout.result(phase, y, x) >= 0)
                             std::copy(sums, sums + BF16_COLUMNS, target.at(y, 2 * x + phase.x));
                     });
    }
};

// Packed [panel][tap][step][DEPTH / 2][COLUMNS][2], zero beyond the channels.
void pack_weights(const PackParams& p) {
    const float* w = static_cast<const float*>(p.w);
    const int64 steps = (p.c + BF16_DEPTH - 1) / BF16_DEPTH, panels = (p.o + BF16_COLUMNS - 1) / BF16_COLUMNS;
#pragma omp parallel for collapse(2)
    for (int64 panel = 0; panel < panels; panel++)
        for (int k = 0; k < TAPS; k++) {
            const float* tap = w + TAP[k].y * p.stride_y + TAP[k].x * p.stride_x;
            BFloat16* out = static_cast<BFloat16*>(p.packed) + (panel * TAPS + k) * steps * BF16_STEP;
            for (int64 c = 0; c < steps * BF16_DEPTH; c++)
                for (int64 r = 0; r < BF16_COLUMNS; r++) {
                    const int64 o = panel * BF16_COLUMNS + r;
                    const bool known = c < p.c && o < p.o;
                    out[c / BF16_DEPTH * BF16_STEP + bf16_panel_index(c % BF16_DEPTH, r)] =
                        narrow_one(known ? tap[o * p.stride_o + c * p.stride_c] : 0);
                }
        }
}

}  // namespace

extern "C" int bfloat16_conv3x3(const Conv3x3Params* p) {
    return answer([&] {
        const Bf16Multiply multiply = bf16_multiply(p->instructions);
        if (!multiply || p->dtype != FLOAT32) return 1;
        const Convolution convolution(*p, multiply);
        if (p->f) upsample_filtered<float, BF16_COLUMNS>(*p, TAPS * convolution.depth * BF16_COLUMNS * 2, convolution);
        else convolution.run();
        return 0;
    });
}

extern "C" int bfloat16_weight(const PackParams* p) {
    if (p->dtype != FLOAT32) return 1;
    pack_weights(*p);
    return 0;
}
