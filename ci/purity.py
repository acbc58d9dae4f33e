#!/usr/bin/env python3
"""Fails if a core library needs a symbol of the operating system that Env should give.

usage: purity.py BUILD_DIR
Lists the undefined symbols of every libargon_*.a under BUILD_DIR/core, takes away what the core
libraries define for each other, and compares the rest with ci/purity_allow.txt (one regular
expression a line, matched against the whole symbol; '#' starts a comment). A line "LIBRARY: NAME..." allows one
library alone symbols by their whole names.
"""
import pathlib
import re
import subprocess
import sys

# What the rules must never let through: a rule that grows too wide fails the test by itself.
FORBIDDEN = """clock_gettime gettimeofday time nanosleep open open64 openat read write pread64 socket connect
accept4 poll epoll_wait pthread_create pthread_mutex_lock fork execve posix_spawn waitpid kill getenv rand
random srand getrandom getpid gethostname _ZNSt6chrono3_V212steady_clock3nowEv
_ZNSt6chrono3_V212system_clock3nowEv _ZNSt13random_device7_M_initERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE
_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE RAND_bytes SSL_new
_ZN5boost4asio6detail12epoll_reactor3runElRNS1_8op_queueINS1_19scheduler_operationEEE fopen64 __cxa_thread_atexit""".split()

# Of OpenSSL, what no library may use, whatever a line of its own says: entropy, sockets, files, the clock's sessions.
NEVER = re.compile(r"RAND_(bytes|priv_bytes|load_file|poll|seed).*|BIO_(new_(socket|file|fd|connect|accept)|s_(file|fd|socket|connect|accept)).*|"
                   r"SSL_set_[rw]?fd|.*_(file|dir)|OSSL_LIB_CTX_load_config|SSL_CTX_set_timeout|SSL_set_session")

# Libraries under core/ that are no part of the product.
TEST_ONLY = {"libargon_test_main.a", "libargon_contract.a", "libargon_redo_proof.a"}


def symbols(library, *flags):
    out = subprocess.run(["nm", "--no-sort", *flags, str(library)], check=True, capture_output=True, text=True)
    for line in out.stdout.splitlines():
        words = line.split()
        if len(words) >= 2 and not line.endswith(":"):
            yield words[-1]


def main():
    build = pathlib.Path(sys.argv[1])
    rules = pathlib.Path(__file__).with_name("purity_allow.txt").read_text().splitlines()
    rules = [line.split("#")[0].strip() for line in rules]
    own = {}
    for library, names in (rule.split(": ", 1) for rule in rules if ": " in rule):
        own.setdefault(library, set()).update(names.split())
    rules = [rule for rule in rules if ": " not in rule]
    allowed = re.compile("|".join(f"(?:{rule})" for rule in rules if rule))
    loose = [symbol for symbol in FORBIDDEN if allowed.fullmatch(symbol)]
    loose += [symbol for names in own.values() for symbol in sorted(names) if symbol in set(FORBIDDEN) - {"SSL_new"} or NEVER.fullmatch(symbol)]
    if loose:
        sys.exit(f"purity: purity_allow.txt lets through what it must not: {' '.join(loose)}")
    libraries = sorted(p for p in build.glob("core/**/libargon_*.a")
                       if p.name not in TEST_ONLY and "contract" not in p.as_posix())
    if len(libraries) < 3:
        sys.exit(f"purity: only {len(libraries)} core libraries under {build}: build them first")
    defined = set()
    for library in libraries:
        defined.update(symbols(library, "--defined-only"))
    bad = []
    seen = 0
    for library in libraries:
        for symbol in sorted(set(symbols(library, "--undefined-only")) - defined):
            seen += 1
            if not allowed.fullmatch(symbol) and symbol not in own.get(library.name, ()):
                bad.append(f"{library.name}: {symbol}")
    print("\n".join(bad))
    print(f"purity: {len(libraries)} core libraries, {seen} outside symbols, {len(bad)} not allowed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
