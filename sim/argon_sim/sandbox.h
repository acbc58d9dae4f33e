// Sandbox: what a process may ask of the operating system once a simulated world has begun: memory, and
// writing to files that are open already. Clocks, sockets, files, entropy, threads, processes and sleeping
// end the run.
//
// A system-call filter (seccomp) catches system calls. Clocks that are read without one are caught by taking
// the kernel's shared pages (vdso) away and by forbidding `rdtsc`; OpenSSL alone may ask for the time, and is
// told 0 (core/tls/library.h says why). What is left is `rdrand`, of which there
// is none in core/ (`ci/purity.py` sees no such library), and the addresses of memory (`explore --twice`).

#pragma once

#include <functional>
#include <string>

namespace argon::sim {

// False in builds with sanitizers: they read files to say what they found.
bool sandbox_available();

// From here on this process may only: take and give back memory, write to the file descriptors 1 to 4, with
// `postgres` read and write those of PostgresHost, end. Anything else calls `died` with what it was, and ends
// the process with status 1; a crash too. Cannot be undone. `died` may allocate. Throws std::system_error
// where the kernel refuses the filter.
void enter_sandbox(std::function<void(const std::string& what)> died, bool postgres = false);

}  // namespace argon::sim
