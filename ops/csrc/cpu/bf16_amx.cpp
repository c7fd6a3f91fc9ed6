// The instructions of AMX. They are written as assembly because the tiles' numbers are parts of the instructions, and
// because g++'s intrinsics do not tell the compiler which memory they read and write.
#if defined(__x86_64__)

#define TILE_TARGET __attribute__((target("amx-tile,amx-bf16")))
#define TILE_INLINE TILE_TARGET __attribute__((always_inline)) inline

#include "cpu/bf16_tiles.h"

namespace {

struct AmxTiles {
    TILE_INLINE void configure(const TileConfig* config) { asm volatile("ldtilecfg %0" ::"m"(*config)); }
    TILE_INLINE void release() { asm volatile("tilerelease"); }
    template <int TILE>
    TILE_INLINE void zero() {
        asm volatile("tilezero %%tmm%c0" ::"i"(TILE));
    }
    template <int TILE>
    TILE_INLINE void load(const void* from, int64 row_bytes) {
        asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(row_bytes), "i"(TILE) : "memory");
    }
    template <int TILE>
    TILE_INLINE void store(void* to, int64 row_bytes) {
        asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(row_bytes), "i"(TILE) : "memory");
    }
    template <int SUM, int ROWS, int COLUMNS>
    TILE_INLINE void multiply() {
        asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(SUM), "i"(ROWS), "i"(COLUMNS));
    }
};

}  // namespace

const Bf16Multiply multiply_amx = multiply_in_tiles<AmxTiles>;

#else

#include "cpu/bf16.h"

const Bf16Multiply multiply_amx = nullptr;

#endif
