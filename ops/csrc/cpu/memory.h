// Memory for the kernels: what a thread keeps for its next call, and huge pages for large results.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include <sys/mman.h>

#include "params.h"

constexpr int64 up_to_multiple(int64 value, int64 of) { return (value + of - 1) / of * of; }

// Request 2 MB pages for a large result: the first write to 4 KB pages costs a tenth of a layer's time.
inline void advise_huge_pages(void* start, int64 bytes) {
#ifdef MADV_HUGEPAGE
    constexpr std::uintptr_t page = 2 << 20;
    const auto from = (reinterpret_cast<std::uintptr_t>(start) + page - 1) / page * page;
    const auto to = (reinterpret_cast<std::uintptr_t>(start) + bytes) / page * page;
    if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);  // refused: slower, not wrong
#endif
}

constexpr int OUT_OF_MEMORY = 2;  // a kernel's answer, where 0 is success

// The answer to a call: that of `work`, unless memory is short.
template <class Work>
inline int answer(Work work) {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return OUT_OF_MEMORY;
    }
}

// The same for a kernel of the types float and double only.
template <class Work>
inline int answer_float(int64 dtype, Work work) {
    return answer([&] {
        dtype == FLOAT64 ? work(double()) : work(float());
        return 0;
    });
}

// Shortage of memory in a parallel region, which no exception may leave: the region goes on without that part of its
// work, and `raise` follows it.
class Shortage {
    std::atomic<bool> happened{false};

public:
    template <class Work>
    void attempt(Work work) {
        try {
            work();
        } catch (const std::bad_alloc&) {
            happened = true;
        }
    }
    void raise() const {
        if (happened) throw std::bad_alloc();
    }
};

// Memory that one thread keeps for its next call: the page faults of a fresh megabyte cost more than its use.
template <class T, int SLOT = 0>
inline T* scratch(int64 elements) {
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };
    thread_local std::unique_ptr<void, Free> kept;
    thread_local int64 size = 0;
    const int64 bytes = up_to_multiple(elements * int64(sizeof(T)), 64);
    if (bytes > size) {
        size = 0;
        kept.reset();  // first, so that both need not fit at once
        kept.reset(std::aligned_alloc(64, bytes));
        if (!kept) throw std::bad_alloc();
        size = bytes;
    }
    return static_cast<T*>(kept.get());
}
