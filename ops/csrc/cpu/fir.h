// The parts of upfirdn2d: which inputs reach which outputs, filters, and weighted sums of rows.
#pragma once

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "cpu/storage.h"

// One axis. Outputs repeat with a period: output r + period * m, of phase r, is computed from the inputs
// first + step * m + (0, 1, … count - 1) and the taps tap + up * (0, 1, …). Inserted zeros are never read.
struct Axis {
    struct Phase {
        int64 first, tap, count;
    };

    int64 up, period, step;
    int64 low;    // lowest input of the first period
    int64 reach;  // number of inputs from there to the highest
    int64 most;   // number of inputs of the phase that has most; at least 1
    std::vector<Phase> phases;

    Axis(int64 taps, int64 up, int64 down, int64 pad)
        : up(up), period(up / std::gcd(up, down)), step(down / std::gcd(up, down)), most(1) {
        int64 end = std::numeric_limits<int64>::min();
        low = std::numeric_limits<int64>::max();
        for (int64 r = 0; r < period; r++) {
            const int64 at = r * down - pad;  // in the upsampled input
            const int64 tap = ((-at) % up + up) % up;
            const Phase phase{(at + tap) / up, tap, tap < taps ? (taps - 1 - tap) / up + 1 : 0};
            low = std::min(low, phase.first);
            end = std::max(end, phase.first + phase.count);
            most = std::max(most, phase.count);
            phases.push_back(phase);
        }
        reach = std::max<int64>(1, end - low);
    }

    bool passes_through() const { return period == 1 && step == 1 && most == 1 && phases[0].count == 1; }
};

// Taps [fh, fw], or [fw] for both axes, in the order of a correlation. If they are the product of a column and a
// row, within rounding, these two replace them.
template <class A>
struct Taps {
    std::vector<A> full, along_x, along_y;
    bool separable;

    Taps(const A* f, int64 fw, int64 fh, bool given_separable, bool flip, A gain) : separable(given_separable) {
        full.assign(f, f + (given_separable ? fw : fw * fh));
        if (!flip) std::reverse(full.begin(), full.end());
        if (given_separable)
            along_x = along_y = full;
        else
            split(fw, fh);
        for (A& tap : full) tap *= gain;
        for (A& tap : along_y) tap *= gain;
    }

private:
    void split(int64 fw, int64 fh) {
        const auto less = [](A a, A b) { return std::abs(a) < std::abs(b); };
        const int64 pivot = std::max_element(full.begin(), full.end(), less) - full.begin();
        for (int64 x = 0; x < fw; x++) along_x.push_back(full[pivot / fw * fw + x]);
        for (int64 y = 0; y < fh; y++) along_y.push_back(full[y * fw + pivot % fw] / full[pivot]);
        const A tolerance = 8 * std::numeric_limits<A>::epsilon() * std::abs(full[pivot]);
        separable = true;
        for (int64 i = 0; i < fw * fh; i++)  // written so that NaN is outside the tolerance
            if (!(std::abs(full[i] - along_y[i / fw] * along_x[i % fw]) <= tolerance)) separable = false;
    }
};

// to[m * to_step + j] = sum over i of weights[i] * rows[i][m * step + j], for `times` m and `count` j. Rows that are
// padded may be read to the end of their last vector.
template <class A>
struct WeightedRows {
    std::vector<const A*> rows;
    std::vector<A> weights;
    int64 times = 1, step = 0, to_step = 0;

    void clear() {
        rows.clear();
        weights.clear();
    }

    void add(const A* row, A weight) {
        rows.push_back(row);
        weights.push_back(weight);
    }

    void sum(int64 count, bool padded, A* to) const {
        switch (rows.size()) {
            case 1: return sum_of<1>(count, padded, to);
            case 2: return sum_of<2>(count, padded, to);
            case 3: return sum_of<3>(count, padded, to);
            case 4: return sum_of<4>(count, padded, to);
            case 6: return sum_of<6>(count, padded, to);
            case 12: return sum_of<12>(count, padded, to);
        }
        sum_of<0>(count, padded, to);
    }

private:
    template <int ROWS>  // 0: any number
    void sum_of(int64 count, bool padded, A* to) const {
        const int size = ROWS ? ROWS : int(rows.size());
        const A* const* row = rows.data();
        const A* weight = weights.data();
        const A* row_copy[ROWS + 1];
        A weight_copy[ROWS + 1];
        if constexpr (ROWS > 0) {  // copies, which writes to `to` cannot change
            row = std::copy_n(row, ROWS, row_copy) - ROWS;
            weight = std::copy_n(weight, ROWS, weight_copy) - ROWS;
        }
        const auto at = [&](int64 j, int64 valid) {
            Vector<A> v{};
#pragma GCC unroll 12
            for (int i = 0; i < size; i++) v += weight[i] * widen(row[i] + j, valid);
            return v;
        };
        for (int64 m = 0; m < times; m++, to += to_step) {
            const int64 begin = m * step, whole = count / LANES<A> * LANES<A>;
            for (int64 j = 0; j < whole; j += LANES<A>) store(to + j, at(begin + j, LANES<A>));
            if (whole == count) continue;
            if (whole > 0)  // one more vector, shifted so that it ends with the row
                store(to + count - LANES<A>, at(begin + count - LANES<A>, LANES<A>));
            else
                narrow(to, at(begin, padded ? LANES<A> : count), count);
        }
    }
};

// Split a row of pixels, each of `inner` values, into `parts` rows (pixel i goes to row i % parts), and the reverse.
template <class A>
inline void deinterleave(
    const A* __restrict from, int64 pixels, int64 inner, int64 parts, int64 pitch, A* __restrict to
) {
    if (inner == 1 && parts == 2) {  // the frequent case, which compilers turn into shuffles
        for (int64 i = 0; i < pixels / 2; i++) {
            to[i] = from[2 * i];
            to[pitch + i] = from[2 * i + 1];
        }
        if (pixels % 2) to[pixels / 2] = from[pixels - 1];
        return;
    }
    for (int64 part = 0; part < parts; part++)
        for (int64 i = part, at = part * pitch; i < pixels; i += parts, at += inner)
            for (int64 c = 0; c < inner; c++) to[at + c] = from[i * inner + c];
}

template <class A>
inline void interleave(
    const A* __restrict from, int64 parts, int64 pitch, int64 pixels, int64 inner, A* __restrict to
) {
    if (inner == 1 && parts == 2) {
        for (int64 i = 0; i < pixels / 2; i++) {
            to[2 * i] = from[i];
            to[2 * i + 1] = from[pitch + i];
        }
        if (pixels % 2) to[pixels - 1] = from[pixels / 2];
        return;
    }
    for (int64 part = 0; part < parts; part++)
        for (int64 i = part, at = part * pitch; i < pixels; i += parts, at += inner)
            for (int64 c = 0; c < inner; c++) to[i * inner + c] = from[at + c];
}
