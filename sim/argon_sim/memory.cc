#include "sim/argon_sim/memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

#include "sim/argon_sim/sandbox.h"

namespace argon::sim {
namespace {

constexpr size_t kReserve = 16 << 20;  // what telling of it may take

void* reserve = nullptr;
void (*on_exceeded)() = nullptr;

void exceeded() {
  std::set_new_handler(nullptr);
  free(reserve);
  on_exceeded();
}

}  // namespace

void limit_memory(uint64_t bytes, void (*tell)()) {
  if (!sandbox_available()) return;
  on_exceeded = tell;
  reserve = malloc(kReserve);
  rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_DATA, &limit) != 0)
    throw std::system_error(errno, std::generic_category(), "limit of memory");
  std::set_new_handler(exceeded);
}

}  // namespace argon::sim

#ifdef ARGON_SIM_NO_ARENA
void argon::sim::begin_memory() {}
#else
namespace {

constexpr size_t kArena = 1ull << 32;  // of addresses
constexpr size_t kStep = 2 << 20;      // what becomes usable at once: a huge page
constexpr size_t kSlab = 64 << 10;     // blocks of one class
constexpr size_t kLargest = 32 << 10;  // above, malloc
constexpr size_t kFine = 512;          // up to here classes are 16 bytes apart, then four for each doubling
constexpr size_t kClasses = 32 + 4 * 6;

struct Free {
  Free* next;
};

struct Class {
  Free* first;
  char* fresh;  // never handed out, up to fresh_end
  char* fresh_end;
};

// Zeros at first: the first block is wanted before any constructor has run.
struct Arena {
  char* begin;
  char* usable;  // bytes from `begin` on, or where addresses fall up to `end`
  char* used;
  char* end;
  unsigned char fill;
  bool huge_pages;
  Class classes[kClasses];
  unsigned char slabs[kArena / kSlab];  // of which class
};
constinit Arena arena{};

size_t class_of(size_t size) {
  if (size <= kFine) return size == 0 ? 0 : (size - 1) / 16;
  auto doubling = static_cast<size_t>(std::bit_width(size - 1)) - 10;  // 0 for 513 to 1024
  return 32 + doubling * 4 + ((size - 1) >> (doubling + 7) & 3);
}

size_t size_of(size_t number) {
  if (number < 32) return (number + 1) * 16;
  size_t doubling = (number - 32) / 4;
  return (size_t{640} + (number - 32) % 4 * 128) << doubling;
}

bool begin_arena() {
  void* at = mmap(nullptr, kArena + kStep, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return false;
  auto aligned = (reinterpret_cast<uintptr_t>(at) + kStep - 1) / kStep * kStep;
  arena.begin = reinterpret_cast<char*>(aligned);
  arena.end = arena.begin + kArena;
  if (const char* text = getenv("ARGON_SIM_FILL")) arena.fill = static_cast<unsigned char>(atoi(text));
  arena.usable = arena.used = arena.fill != 0 ? arena.end : arena.begin;
  return true;
}

bool make_usable(char* from) {
  if (mprotect(from, kStep, PROT_READ | PROT_WRITE) != 0) return false;
  if (arena.huge_pages) madvise(from, kStep, MADV_HUGEPAGE);
  return true;
}

char* take_slab() {
  if (arena.begin == nullptr && !begin_arena()) return nullptr;
  if (arena.fill != 0) {
    if (arena.used == arena.usable) {
      if (arena.usable == arena.begin || !make_usable(arena.usable - kStep)) return nullptr;
      arena.usable -= kStep;
    }
    return arena.used -= kSlab;
  }
  if (arena.used == arena.usable) {
    if (arena.usable == arena.end || !make_usable(arena.usable)) return nullptr;
    arena.usable += kStep;
  }
  arena.used += kSlab;
  return arena.used - kSlab;
}

[[gnu::noinline]] void* take_fresh(size_t number) {
  Class& from = arena.classes[number];
  size_t size = size_of(number);
  if (static_cast<size_t>(from.fresh_end - from.fresh) < size) {
    char* slab = take_slab();
    if (slab == nullptr) return malloc(size);  // which may have some left
    arena.slabs[static_cast<size_t>(slab - arena.begin) / kSlab] = static_cast<unsigned char>(number);
    from.fresh = slab;
    from.fresh_end = slab + kSlab;
  }
  from.fresh += size;
  return from.fresh - size;
}

void* take(size_t size) {
  if (size > kLargest) return malloc(size);
  size_t number = class_of(size);
  Class& from = arena.classes[number];
  void* block = from.first;
  if (block != nullptr) [[likely]]
    from.first = from.first->next;
  else
    block = take_fresh(number);
  if (arena.fill != 0 && block != nullptr) [[unlikely]]
    memset(block, ~arena.fill & 0xff, size_of(number));
  return block;
}

[[gnu::noinline]] void* take_or_tell(size_t size) {
  for (;;) {
    if (void* block = take(size)) return block;
    std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

inline void give_back(void* block) {
  auto offset = static_cast<size_t>(static_cast<char*>(block) - arena.begin);
  if (offset >= kArena) [[unlikely]] {
    free(block);
    return;
  }
  size_t number = arena.slabs[offset / kSlab];
  if (arena.fill != 0) [[unlikely]]
    memset(block, arena.fill, size_of(number));
  auto* freed = static_cast<Free*>(block);
  freed->next = arena.classes[number].first;
  arena.classes[number].first = freed;
}

}  // namespace

void argon::sim::begin_memory() {
  arena.huge_pages = true;
  arena.used = arena.usable;
  for (Class& one : arena.classes) one = {};

  constexpr uintptr_t kHeap = 32 << 20;  // that grows at once
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, kHeap);
  void* first = malloc(kStep);
  auto begin = (reinterpret_cast<uintptr_t>(first) + kStep - 1) / kStep * kStep;
  free(first);
  madvise(reinterpret_cast<void*>(begin), kHeap - kStep, MADV_HUGEPAGE);
}

void* operator new(size_t size) {
  void* block = take(size);
  return block != nullptr ? block : take_or_tell(size);
}
void* operator new[](size_t size) {
  return operator new(size);
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}
void operator delete(void* block) noexcept {
  give_back(block);
}
void operator delete[](void* block) noexcept {
  give_back(block);
}
void operator delete(void* block, size_t) noexcept {
  give_back(block);
}
void operator delete[](void* block, size_t) noexcept {
  give_back(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
  give_back(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept {
  give_back(block);
}
#endif
