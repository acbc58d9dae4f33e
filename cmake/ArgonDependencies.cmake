# Every library from outside, each as one imported target, so that a folder names what it uses.
# Debian's Boost is 1.81 (not the default 1.74); headers are SYSTEM, so our warnings are ours.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
set(Boost_NO_WARN_NEW_VERSIONS ON)
# Static where Debian has that: loading five more shared libraries takes half a millisecond, a simulated run some sixty.
set(Boost_USE_STATIC_LIBS ON)
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Boost 1.81 REQUIRED COMPONENTS context)
find_package(Protobuf REQUIRED)
find_package(GTest REQUIRED)
find_package(rapidcheck REQUIRED)
find_package(benchmark REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json REQUIRED)
pkg_check_modules(spdlog REQUIRED IMPORTED_TARGET spdlog)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal)
set(shared_first ${CMAKE_FIND_LIBRARY_SUFFIXES})
set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(lz4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET libseccomp)
set(CMAKE_FIND_LIBRARY_SUFFIXES ${shared_first})
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)

