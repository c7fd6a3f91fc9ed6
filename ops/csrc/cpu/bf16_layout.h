// How images lie in memory for the products in bfloat16, by which every 3x3 convolution is one product at stride 1.
//
// The pixels of all images stand in one row of positions. A zero follows each row of an image, and a row of zeros each
// image, so that a tap is a constant offset between positions: left of the first pixel of a row is the zero after the
// row above. Results at the positions of zeros are discarded. DOWN reads four planes, one for even and one for odd
// pixels along each axis; UP computes four phases of results, for even and odd ones along each axis.
#pragma once

#include "cpu/bf16.h"
#include "cpu/convolution.h"

struct Tap {
    int y, x;
};

constexpr int TAPS = 9;

// In the order in which weights are packed: the taps of each phase of UP are neighbours.
constexpr Tap TAP[TAPS] = {{0, 0}, {0, 2}, {2, 0}, {2, 2}, {0, 1}, {2, 1}, {1, 0}, {1, 2}, {1, 1}};

// Results of one parity along y and x, for UP; of both for SAME and DOWN.
struct Phase {
    int y, x, first, taps;
};

constexpr Phase UP_PHASES[4] = {{0, 0, 0, 4}, {0, 1, 4, 2}, {1, 0, 6, 2}, {1, 1, 8, 1}};
constexpr Phase WHOLE = {0, 0, 0, TAPS};

struct Layout {
    int64 mode, n, h, w;  // h and w: of x, or of one plane's even pixels less one for DOWN
    int64 width;          // positions from one row to the next
    int64 per_image, positions;
    int64 lead, length;  // zeros before the first position; all positions and zeros of a plane
    int planes;

    Layout(int64 mode, int64 n, int64 x_h, int64 x_w)
        : mode(mode), n(n), h(mode == DOWN ? (x_h - 1) / 2 : x_h), w(mode == DOWN ? (x_w - 1) / 2 : x_w), width(w + 1),
          per_image((h + 1) * width), positions(n * per_image), lead(width + 1),
          length(lead + up_to_multiple(positions, BF16_ROWS) + BF16_ROWS + width + 1), planes(mode == DOWN ? 4 : 1) {}

    int plane(Tap t) const { return mode == DOWN ? t.y % 2 * 2 + t.x % 2 : 0; }

    // From the position of a result to that of the pixel that the tap reads.
    int64 offset(Tap t) const {
        switch (mode) {
            case SAME: return (t.y - 1) * width + t.x - 1;
            case DOWN: return t.y / 2 * width + t.x / 2;
            default: return -(t.y / 2 * width + t.x / 2);  // UP: taps 0 and 1 read input i, tap 2 input i - 1
        }
    }

    int phases() const { return mode == UP ? 4 : 1; }
    Phase phase(int i) const { return mode == UP ? UP_PHASES[i] : WHOLE; }
    int phase_of(Tap t) const { return mode == UP ? t.y % 2 * 2 + t.x % 2 : 0; }

    // Size of the result, and the pixel of it that a position of a phase stands for; -1 if none.
    int64 out_h() const { return mode == UP ? 2 * h + 1 : h; }
    int64 out_w() const { return mode == UP ? 2 * w + 1 : w; }
    int64 result(Phase phase, int64 y, int64 x) const {
        const int64 step = mode == UP ? 2 : 1, row = y * step + phase.y, column = x * step + phase.x;
        return row < out_h() && column < out_w() ? row * out_w() + column : -1;
    }

    // The pixel of x that a position of a plane stands for; -1 if it is a zero.
    int64 source(int plane, int64 y, int64 x) const {
        if (mode != DOWN) return y < h && x < w ? y * w + x : -1;
        const int64 row = 2 * y + plane / 2, column = 2 * x + plane % 2, columns = 2 * w + 1;
        return row < 2 * h + 1 && column < columns ? row * columns + column : -1;
    }

    int64 source_pixels() const { return mode == DOWN ? (2 * h + 1) * (2 * w + 1) : h * w; }
};
