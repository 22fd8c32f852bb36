// Scheduler of the emulated kernels, and the race detector. Compiled without instrumentation.
//
// The threads of a block run as fibres. Which one goes on is drawn at random from the seed GEOOPS_EMULATION_SEED at
// every barrier, shuffle and atomic operation. A fibre runs thread after thread, so threads that never wait cost no
// switch. GEOOPS_EMULATION_GRID caps the number of blocks, so that kernels have to stride; with GEOOPS_EMULATION_ENDS
// only the first and the last block of a large grid run. Errors end the process with a message: exceptions cannot leave
// a block whose other threads are half done.
//
// Sources compiled with -fsanitize=thread call __tsan_read4(address) and the like before every access; here these keep,
// for each word, who wrote and read it last, and report two accesses of different threads of which one writes, unless
// both are atomic or a barrier lies between them. Blocks are never ordered; launches always are.
#include <sanitizer/common_interface_defs.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

// Begin and end of this library in memory, from the linker.
extern "C" __attribute__((visibility("hidden"))) char __ehdr_start, _end;

namespace emulation {

struct Place {
  unsigned x = 0, y = 0, z = 0;
};
Place thread, block, block_dim, grid_dim;

namespace {

constexpr size_t kStack = 256 * 1024;
constexpr unsigned kSmallGrid = 64;

[[noreturn]] void fail(const char* op, const char* format, ...) {
  std::fprintf(stderr, "emulation: %s: ", op);
  va_list list;
  va_start(list, format);
  std::vfprintf(stderr, format, list);
  va_end(list);
  std::fprintf(stderr, "\n");
  std::fflush(stderr);
  std::_Exit(86);
}

enum class State { ready, at_barrier, at_warp };

struct Fibre {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  void* fake_stack = nullptr;
  unsigned thread = 0;
  bool idle = true;  // has no thread
  State state = State::ready;
  const char* file = nullptr;
  int line = 0;
  unsigned mask = 0, warp_phase = 0, round = 0;
};

struct Meeting {  // of the lanes of one warp that name the same mask
  unsigned arrived = 0, round = 0;
  uint64_t brought[32], shown[2][32];
  const char* file = nullptr;
  int line = 0;
};

std::mt19937_64& dice() {
  static std::mt19937_64 generator(
      std::getenv("GEOOPS_EMULATION_SEED") ? std::atoll(std::getenv("GEOOPS_EMULATION_SEED")) : 0);
  return generator;
}

struct Machine {
  const char* op = nullptr;
  const std::function<void()>* kernel = nullptr;
  std::vector<unsigned> order;  // of the threads
  size_t started = 0, finished = 0;
  unsigned phase = 0;
  std::vector<std::unique_ptr<Fibre>> fibres;
  std::vector<Fibre*> ready, free;
  std::unordered_map<uint64_t, Meeting> meetings;  // by warp and mask
  std::vector<Fibre*> waiting;
  Fibre* current = nullptr;
  ucontext_t scheduler;
  void* scheduler_fake = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_size = 0;
} machine;

void to_scheduler(bool last = false) {
  Fibre& self = *machine.current;
  __sanitizer_start_switch_fiber(last ? nullptr : &self.fake_stack, machine.scheduler_stack, machine.scheduler_size);
  swapcontext(&self.context, &machine.scheduler);
  __sanitizer_finish_switch_fiber(self.fake_stack, &machine.scheduler_stack, &machine.scheduler_size);
}

void body() {
  __sanitizer_finish_switch_fiber(nullptr, &machine.scheduler_stack, &machine.scheduler_size);
  Fibre& self = *machine.current;
  for (;;) {
    while (machine.started < machine.order.size()) {
      self.thread = machine.order[machine.started++];
      self.idle = false;
      self.warp_phase = 0;
      thread.x = self.thread;
      (*machine.kernel)();
      ++machine.finished;
      self.idle = true;
    }
    to_scheduler();
  }
}

void resume(Fibre& fibre) {
  machine.current = &fibre;
  thread.x = fibre.thread;
  __sanitizer_start_switch_fiber(&machine.scheduler_fake, fibre.stack.get(), kStack);
  swapcontext(&machine.scheduler, &fibre.context);
  __sanitizer_finish_switch_fiber(machine.scheduler_fake, nullptr, nullptr);
  machine.current = nullptr;
  if (fibre.idle) machine.free.push_back(&fibre);
}

Fibre& fresh() {
  if (!machine.free.empty()) {
    Fibre& fibre = *machine.free.back();
    machine.free.pop_back();
    return fibre;
  }
  machine.fibres.push_back(std::make_unique<Fibre>());
  getcontext(&machine.fibres.back()->context);
  Fibre& made = *machine.fibres.back();
  made.context.uc_stack.ss_sp = made.stack.get();
  made.context.uc_stack.ss_size = kStack;
  made.context.uc_link = nullptr;
  makecontext(&made.context, body, 0);
  return made;
}

void wait(State state, const char* file, int line) {
  Fibre& self = *machine.current;
  self.state = state, self.file = file, self.line = line;
  (state == State::ready ? machine.ready : machine.waiting).push_back(&self);
  to_scheduler();
}

void release(const std::function<bool(const Fibre&)>& which) {
  std::vector<Fibre*> left;
  for (Fibre* fibre : machine.waiting) {
    if (which(*fibre)) {
      fibre->state = State::ready;
      machine.ready.push_back(fibre);
    } else {
      left.push_back(fibre);
    }
  }
  machine.waiting = left;
}

void run_block() {
  const size_t threads = machine.order.size();
  machine.started = machine.finished = 0;
  machine.phase = 0;
  machine.meetings.clear();
  while (machine.finished < threads) {
    const size_t fresh_ones = machine.started < threads;
    const size_t choices = machine.ready.size() + fresh_ones;
    if (choices == 0) {
      const Fibre& one = *machine.waiting.front();
      fail(machine.op,
           "thread %u of block %u waits at a %s (%s:%d) that other threads never reach: %zu wait, %zu have ended",
           one.thread, block.x, one.state == State::at_barrier ? "barrier" : "warp operation", one.file, one.line,
           machine.waiting.size(), machine.finished);
    }
    const size_t pick = dice()() % choices;
    if (pick == machine.ready.size()) {
      resume(fresh());
    } else {
      Fibre* fibre = machine.ready[pick];
      machine.ready[pick] = machine.ready.back();
      machine.ready.pop_back();
      resume(*fibre);
    }
  }
}

template <typename T>
void shuffle_order(std::vector<T>& order) {
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[dice()() % i]);
}

// ---- races

struct Access {
  int64_t thread = -1;  // in the grid
  unsigned phase = 0, warp_phase = 0;
  bool atomic = false, several = false;
};
struct Word {
  Access write, read;
};
std::unordered_map<uintptr_t, Word> words;

bool before(const Access& then, const Access& now, bool shared) {
  if (then.thread < 0 || (then.thread == now.thread && !then.several)) return true;
  if (then.thread / block_dim.x != now.thread / block_dim.x) return shared;
  if (then.phase < now.phase) return true;
  return !then.several && then.thread / 32 == now.thread / 32 && block_dim.x % 32 == 0 &&
         then.warp_phase < now.warp_phase;
}

void note(const void* pointer, int size, bool writes, bool atomic) {
  if (!machine.current) return;
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  const Fibre& self = *machine.current;
  // Shared memory is the kernels' static memory, of which every block has its own.
  const bool shared = pointer >= static_cast<void*>(&__ehdr_start) && pointer < static_cast<void*>(&_end);
  if (address - reinterpret_cast<uintptr_t>(self.stack.get()) < kStack) return;
  const Access now{static_cast<int64_t>(block.x) * block_dim.x + self.thread, machine.phase, self.warp_phase, atomic,
                   false};
  for (int at = 0; at < size; at += 4) {
    Word& word = words[address + at];
    const bool bad_write = !before(word.write, now, shared) && !(word.write.atomic && atomic);
    const bool bad_read = writes && !before(word.read, now, shared) && !(word.read.atomic && atomic);
    if (bad_write || bad_read) {
      const Access& then = bad_write ? word.write : word.read;
      fail(machine.op, "race: thread %ld %s a word that thread %ld %s, with no barrier between them",
           static_cast<long>(now.thread), writes ? "writes" : "reads", static_cast<long>(then.thread),
           bad_write ? "writes" : "reads");
    }
    Access& kept = writes ? word.write : word.read;
    const bool several = !writes && !before(kept, now, shared);
    kept = now;
    kept.several = several;
  }
}

}  // namespace

void run(const char* op, unsigned blocks, unsigned threads, const std::function<void()>& kernel) {
  if (blocks == 0 || blocks > 0x7fffffffu || threads == 0 || threads > 1024)
    fail(op, "launch of %u blocks of %u threads", blocks, threads);
  if (const char* cap = std::getenv("GEOOPS_EMULATION_GRID")) blocks = std::min<unsigned>(blocks, std::atoi(cap));
  machine.op = op;
  machine.kernel = &kernel;
  words.clear();
  block_dim = {threads, 1, 1};
  grid_dim = {blocks, 1, 1};
  machine.order.resize(threads);
  for (unsigned t = 0; t < threads; ++t) machine.order[t] = t;
  std::vector<unsigned> order{0, blocks - 1};
  if (blocks <= kSmallGrid || !std::getenv("GEOOPS_EMULATION_ENDS")) {
    order.resize(blocks);
    for (unsigned b = 0; b < blocks; ++b) order[b] = b;
  }
  shuffle_order(order);
  for (const unsigned b : order) {
    block = {b, 0, 0};
    shuffle_order(machine.order);
    run_block();
  }
}

void barrier(const char* file, int line) {
  for (const Fibre* other : machine.waiting)
    if (other->state == State::at_barrier && (other->line != line))
      fail(machine.op, "threads %u and %u of block %u are at different barriers (%s:%d and %d)",
           machine.current->thread, other->thread, block.x, file, line, other->line);
  size_t there = 1;
  for (const Fibre* other : machine.waiting) there += other->state == State::at_barrier;
  if (there == machine.order.size()) {
    ++machine.phase;
    release([](const Fibre& fibre) { return fibre.state == State::at_barrier; });
    wait(State::ready, file, line);
  } else {
    wait(State::at_barrier, file, line);
  }
}

const uint64_t* exchange(unsigned mask, uint64_t mine, const char* file, int line) {
  Fibre& self = *machine.current;
  const unsigned warp = self.thread / 32, lane = self.thread % 32;
  if (!(mask >> lane & 1)) fail(machine.op, "lane %u is not in its own mask %08x (%s:%d)", lane, mask, file, line);
  Meeting& meeting = machine.meetings[static_cast<uint64_t>(warp) << 32 | mask];
  if (meeting.arrived && meeting.line != line)
    fail(machine.op, "lanes of warp %u are at different warp operations (%s:%d and %d)", warp, file, line,
         meeting.line);
  meeting.file = file, meeting.line = line;
  meeting.arrived |= 1u << lane;
  meeting.brought[lane] = mine;
  uint64_t* shown = meeting.shown[meeting.round % 2];
  self.mask = mask;
  if (meeting.arrived == mask) {
    for (int l = 0; l < 32; ++l) shown[l] = meeting.brought[l];
    meeting.arrived = 0;
    ++meeting.round;
    release([&](const Fibre& fibre) {
      return fibre.state == State::at_warp && fibre.thread / 32 == warp && fibre.mask == mask;
    });
    wait(State::ready, file, line);
  } else {
    wait(State::at_warp, file, line);
  }
  return shown;
}

void warp_barrier(unsigned mask, const char* file, int line) {
  exchange(mask, 0, file, line);
  ++machine.current->warp_phase;
}

int source(unsigned mask, int lane, const char* file, int line) {
  if (!(mask >> lane & 1))
    fail(machine.op, "shuffle from lane %d, which is not in the mask %08x (%s:%d)", lane, mask, file, line);
  return lane;
}

void before_atomic(const void* address, int size) {
  if (!machine.current) fail("host", "atomic operation outside a kernel");
  if (dice()() % 4 == 0) wait(State::ready, nullptr, 0);
  note(address, size, true, true);
}

}  // namespace emulation

// What gcc -fsanitize=thread calls.
extern "C" {
#define GEOOPS_HOOKS(size)                                                              \
  void __tsan_read##size(void* p) { emulation::note(p, size, false, false); }           \
  void __tsan_write##size(void* p) { emulation::note(p, size, true, false); }           \
  void __tsan_unaligned_read##size(void* p) { emulation::note(p, size, false, false); } \
  void __tsan_unaligned_write##size(void* p) { emulation::note(p, size, true, false); }
GEOOPS_HOOKS(1)
GEOOPS_HOOKS(2)
GEOOPS_HOOKS(4)
GEOOPS_HOOKS(8)
GEOOPS_HOOKS(16)
void __tsan_read_range(void* p, size_t size) { emulation::note(p, static_cast<int>(size), false, false); }
void __tsan_write_range(void* p, size_t size) { emulation::note(p, static_cast<int>(size), true, false); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
#define GEOOPS_ATOMICS(bits, type)                                                                              \
  type __tsan_atomic##bits##_load(const volatile type* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \
  void __tsan_atomic##bits##_store(volatile type* p, type v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); } \
  type __tsan_atomic##bits##_exchange(volatile type* p, type v, int) { return __atomic_exchange_n(p, v, 5); }   \
  type __tsan_atomic##bits##_fetch_add(volatile type* p, type v, int) { return __atomic_fetch_add(p, v, 5); }   \
  type __tsan_atomic##bits##_fetch_sub(volatile type* p, type v, int) { return __atomic_fetch_sub(p, v, 5); }   \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* p, type* e, type v, int, int) {              \
    return __atomic_compare_exchange_n(p, e, v, false, 5, 5);                                                   \
  }                                                                                                             \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type* p, type* e, type v, int, int) {                \
    return __atomic_compare_exchange_n(p, e, v, false, 5, 5);                                                   \
  }
GEOOPS_ATOMICS(8, uint8_t)
GEOOPS_ATOMICS(32, uint32_t)
GEOOPS_ATOMICS(64, uint64_t)
}
