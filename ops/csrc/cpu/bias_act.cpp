// y = clamp(gain * act(x + b)) and its derivatives (ops/bias_act.py).
#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "cpu/activation.h"
#include "cpu/memory.h"

namespace {

constexpr int64 BLOCK = 1 << 14;  // elements that a thread takes at a time
constexpr int64 CHUNK = 512;      // of half types, which are widened this many at a time

enum Mode { VALUE, FIRST, SECOND, FROM_OUTPUT };

template <class A>
struct Options {
    A alpha, gain, clamp;
};

// Contiguous memory. The vector at j adds the biases that start at bias_step * j; bias_step is 0 or 1.
template <class A>
struct Stretch {
    const A *x, *u;
    A* y;
    int64 count;
    const A* bias;
    int64 bias_step;
};

template <class A>
using Compute = void (*)(const Options<A>&, const Stretch<A>&);

template <int ACT, Mode MODE, class V>
inline V compute(V x, V u, const Options<Lane<V>>& o) {
    if constexpr (MODE == VALUE) {
        const V v = activate<ACT>(x, o.alpha) * o.gain;
        return v > o.clamp ? broadcast(o.clamp) : v < -o.clamp ? broadcast(-o.clamp) : v;
    } else {
        const V v = MODE == FROM_OUTPUT ? x : activate<ACT>(x, o.alpha) * o.gain;
        return absolute(v) >= o.clamp ? V{} : differentiate<ACT, MODE == SECOND ? 2 : 1>(u, x, o.alpha) * o.gain;
    }
}

template <int ACT, Mode MODE, class A>
void compute(const Options<A>& options, const Stretch<A>& s) {
    const Options<A> o = options;  // a copy, which writes to y cannot change
    for (int64 j = 0; j < s.count; j += LANES<A>) {
        const int64 rest = s.count - j;
        const Vector<A> x = widen(s.x + j, rest) + load(s.bias + s.bias_step * j);
        narrow(s.y + j, compute<ACT, MODE>(x, MODE == VALUE ? x : widen(s.u + j, rest), o), rest);
    }
}

template <class A>
Compute<A> choose(const BiasActParams& p) {
    Compute<A> chosen = nullptr;
    with_activation(p.activation, [&](auto act) {
        constexpr int ACT = act.value;
        if constexpr (ACT == LINEAR || ACT == RELU || ACT == LRELU)
            if (p.from_output) return void(chosen = compute<ACT, FROM_OUTPUT, A>);
        constexpr Compute<A> by_order[] = {compute<ACT, VALUE, A>, compute<ACT, FIRST, A>, compute<ACT, SECOND, A>};
        if (!p.from_output && p.order >= 0 && p.order <= 2) chosen = by_order[p.order];
    });
    return chosen;
}

template <class T>
struct Work {
    typedef Accumulation<T> A;
    const BiasActParams& p;
    Compute<A> compute;
    Options<A> options;
    int64 run;             // number of elements that share a bias, or the length of `table`
    std::vector<A> table;  // biases of neighbouring elements where they differ

    Work(const BiasActParams& p, Compute<A> compute)
        : p(p), compute(compute), options{A(p.alpha), A(p.gain), A(p.clamp)}, run(p.bias_step) {
        if (p.clamp < 0) options.clamp = std::numeric_limits<A>::quiet_NaN();  // a NaN limits nothing
        if (p.b == nullptr) run = std::max<int64>(p.size, 1);
        if (p.b && run == 1) {  // whole vectors, repeated until a run is long enough
            run = p.bias_size * LANES<A> * std::max<int64>(1, 256 / p.bias_size);
            for (int64 i = 0; i < run; i++) table.push_back(bias()[i % p.bias_size]);
        }
    }

    const A* bias() const { return static_cast<const A*>(p.b); }

    void whole() const {
        advise_huge_pages(p.y, p.size * sizeof(T));
        const int64 block = table.empty() ? BLOCK : std::max<int64>(1, BLOCK / run) * run;
#pragma omp parallel for schedule(static) if (p.size > BLOCK)
        for (int64 begin = 0; begin < p.size; begin += block) {
            const int64 end = std::min(begin + block, p.size);
            for (int64 from = begin, to; from < end; from = to) {
                const int64 index = from / run;
                to = std::min((index + 1) * run, end);
                A shared[LANES<A>];
                std::fill_n(shared, LANES<A>, p.b ? bias()[index % p.bias_size] : A(0));
                stretch(from, to - from, table.empty() ? shared : table.data(), table.empty() ? 0 : 1);
            }
        }
    }

    void stretch(int64 from, int64 count, const A* bias, int64 bias_step) const {
        const T* x = static_cast<const T*>(p.x) + from;
        const T* u = p.u ? static_cast<const T*>(p.u) + from : nullptr;
        T* y = static_cast<T*>(p.y) + from;
        if constexpr (std::is_same_v<T, A>) {
            compute(options, {x, u, y, count, bias, bias_step});
        } else {
            for (int64 at = 0; at < count; at += CHUNK) {
                A wide_x[CHUNK], wide_u[CHUNK], wide_y[CHUNK];
                const int64 size = std::min(CHUNK, count - at);
                widen(wide_x, x + at, size);
                if (u) widen(wide_u, u + at, size);
                compute(options, {wide_x, wide_u, wide_y, size, bias + bias_step * at, bias_step});
                narrow(y + at, wide_y, size);
            }
        }
    }
};

}  // namespace

extern "C" int bias_act(const BiasActParams* p) {
    return with_scalar_type(p->dtype, [&](auto scalar) {
        typedef decltype(scalar) T;
        const auto compute = choose<Accumulation<T>>(*p);
        if (compute == nullptr) return 1;
        Work<T>(*p, compute).whole();
        return 0;
    });
}
