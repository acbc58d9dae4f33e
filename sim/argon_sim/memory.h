// The memory of a run: new and delete for one thread, and the bound of 256 MB.
//
// The program's operator new hands out blocks of a class of sizes from one arena, each class from a list of
// its own; nothing goes back to the system, as a run ends soon. Larger blocks are malloc's. There are no
// locks: this program has one thread. Builds with sanitizers keep theirs, and have no bound.
//
// The environment variable ARGON_SIM_FILL (1 to 255) fills blocks: with its complement when they are handed
// out, with itself when they come back; and lets the arena's addresses fall instead of rise.

#pragma once

#include <cstdint>

namespace argon::sim {

// Of a run: heap, stacks and all else that is written to, as the kernel counts it. The program's own code and
// constants come on top, and fit in the rest of 256 MB.
inline constexpr uint64_t kRunMemory = 240ull << 20;

// The process begins a run: nothing that it frees goes back to the system any more, and what it allocates
// lies in huge pages, apart from what the tool's process had before fork(), which would be copied page by
// page.
void begin_memory();

// From here on the process may have so many bytes. One that wants more calls `exceeded`, which must not
// return.
void limit_memory(uint64_t bytes, void (*exceeded)());

}  // namespace argon::sim
