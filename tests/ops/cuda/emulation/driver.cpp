// The functions of the CUDA driver that ops/native/cuda_module.py calls, with emulated blocks, threads and barriers.
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include <map>
#include <string>
#include <vector>

#include "emulation.h"

Dimensions threadIdx, blockIdx, blockDim, gridDim;

namespace {

// Results of the driver API.
enum { SUCCESS = 0, INVALID_VALUE = 1, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719 };

constexpr size_t STACK = 64 << 10;
constexpr unsigned WARP = 32;

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Fiber {
    ucontext_t context;
    State state;
    std::vector<char> stack = std::vector<char>(STACK);
};

std::map<std::string, emulation::Kernel*>& kernels() {
    static std::map<std::string, emulation::Kernel*> all;
    return all;
}

std::vector<Fiber> fibers;
ucontext_t scheduler;
unsigned current;
const emulation::Kernel* running;
const void* arguments;
bool backwards = false;
unsigned long block_serial = 0;
std::map<void*, unsigned long> spoilt;  // the block that last filled each piece of shared memory
sigjmp_buf on_fault;
void* last_stream = nullptr;

void wait_at(State barrier) {
    fibers[current].state = barrier;
    swapcontext(&fibers[current].context, &scheduler);
}

void fiber_main() {
    running->run(arguments);
    fibers[current].state = DONE;
}

void prepare(Fiber& fiber) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, fiber_main, 0);
    fiber.state = READY;
}

// Handles traps of undefined behaviour (see the compiler's flags) and invalid addresses.
void fault(int signal) { siglongjmp(on_fault, signal); }

// Let threads [begin, end) continue if all of them wait at `barrier`.
bool release(State barrier, unsigned begin, unsigned end) {
    for (unsigned t = begin; t < end; t++)
        if (fibers[t].state != barrier) return false;
    for (unsigned t = begin; t < end; t++) fibers[t].state = READY;
    return true;
}

// Returns false if threads wait at a barrier that others never reach.
bool run_block() {
    block_serial++;
    const unsigned threads = blockDim.x;
    for (unsigned t = 0; t < threads; t++) prepare(fibers[t]);
    for (;;) {
        unsigned done = 0;
        for (unsigned i = 0; i < threads; i++) {
            current = backwards ? threads - 1 - i : i;
            threadIdx = {current, 0, 0};
            if (fibers[current].state == READY) swapcontext(&scheduler, &fibers[current].context);
            done += fibers[current].state == DONE;
        }
        if (done == threads) return true;
        bool released = release(AT_BLOCK_BARRIER, 0, threads);
        for (unsigned t = 0; t < threads; t += WARP)
            released |= release(AT_WARP_BARRIER, t, t + WARP < threads ? t + WARP : threads);
        if (!released) return false;
    }
}

__attribute__((noinline)) int run_blocks() {  // not inlined into the frame that siglongjmp returns to
    for (unsigned i = 0; i < gridDim.x; i++) {
        blockIdx = {backwards ? gridDim.x - 1 - i : i, 0, 0};
        if (!run_block()) return LAUNCH_FAILED;
    }
    return SUCCESS;
}

}  // namespace

void __syncthreads() { wait_at(AT_BLOCK_BARRIER); }
void __syncwarp() { wait_at(AT_WARP_BARRIER); }

emulation::Kernel::Kernel(const char* name, void (*run)(const void*), unsigned most_threads)
    : run(run), most_threads(most_threads) {
    kernels()[name] = this;
}

void emulation::spoil_once_a_block(void* memory, unsigned long size) {
    if (spoilt[memory] == block_serial) return;
    spoilt[memory] = block_serial;
    std::memset(memory, 0xff, size);
}

extern "C" {

// Run the blocks, and the threads between two barriers, from the last to the first. A result that depends on their
// order is a race.
void emulation_run_backwards(int yes) { backwards = yes; }

int emulation_last_stream() { return (int)(size_t)last_stream; }

int cuInit(unsigned) { return SUCCESS; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, SUCCESS; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &scheduler, SUCCESS; }
int cuCtxSetCurrent(void* context) { return context == &scheduler ? SUCCESS : INVALID_VALUE; }

int cuModuleLoadDataEx(void** module, const void*, unsigned, void*, void*) {
    return *module = &kernels(), SUCCESS;
}

int cuModuleGetFunction(void** function, void* module, const char* name) {
    if (module != &kernels() || !kernels().count(name)) return NOT_FOUND;
    return *function = kernels()[name], SUCCESS;
}

int cuLaunchKernel(
    void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
    unsigned block_z, unsigned shared_bytes, void* stream, void** params, void** extra
) {
    last_stream = stream;
    running = static_cast<emulation::Kernel*>(function);
    const bool flat = grid_y == 1 && grid_z == 1 && block_y == 1 && block_z == 1;
    if (!flat || grid_x == 0 || block_x == 0 || block_x > running->most_threads || shared_bytes || extra)
        return INVALID_VALUE;
    arguments = params[0];
    gridDim = {grid_x, 1, 1};
    blockDim = {block_x, 1, 1};
    if (fibers.size() < block_x) fibers.resize(block_x);
    constexpr int signals[] = {SIGILL, SIGSEGV, SIGBUS};
    struct sigaction ours = {}, theirs[3];
    ours.sa_handler = fault;
    for (int i = 0; i < 3; i++) sigaction(signals[i], &ours, &theirs[i]);
    const int signal = sigsetjmp(on_fault, 1);
    const int result = signal == 0 ? run_blocks() : signal == SIGILL ? LAUNCH_FAILED : ILLEGAL_ADDRESS;
    for (int i = 0; i < 3; i++) sigaction(signals[i], &theirs[i], nullptr);
    return result;
}

int cuGetErrorString(int code, const char** text) {
    *text = code == INVALID_VALUE     ? "invalid argument"
            : code == NOT_FOUND       ? "named symbol not found"
            : code == ILLEGAL_ADDRESS ? "an illegal memory access was encountered"
                                      : "a trap, or a barrier that not all threads reach";
    return SUCCESS;
}

}  // extern "C"
