# Compiler, linker and sanitizer settings that hold for every target.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g1")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

set(ARGON_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
set(ARGON_FUZZ_SECONDS 15 CACHE STRING "How long the test of each fuzz target runs")
option(ARGON_FUZZ "Build the libFuzzer targets (clang only)" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Werror -fno-strict-aliasing -fno-omit-frame-pointer)
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these for inlined std::vector and std::expected code that is correct.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>
                      $<$<COMPILE_LANGUAGE:CXX>:-Wno-stringop-overflow>
                      $<$<COMPILE_LANGUAGE:CXX>:-Wno-array-bounds>
                      $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# Paths in the binary must not depend on where the tree lies (ccache, reproducible output).
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

# Empty optionals, indexes out of a vector that has room: what the sanitizers do not see.
if(ARGON_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(ARGON_SANITIZE)
  add_compile_options(-fsanitize=${ARGON_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ARGON_SANITIZE})
  if(ARGON_SANITIZE MATCHES "undefined")
    # Unaligned loads go through memcpy; vptr checks would need RTTI of libraries built without it; a use of a
    # null pointer is the address sanitizer's to report.
    add_compile_options(-fno-sanitize=vptr,null)
    add_link_options(-fno-sanitize=vptr,null)
  endif()
endif()
if(ARGON_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  if(NOT ARGON_SANITIZE)
    # For programs that are not fuzz targets: a sanitizer's runtime has the coverage callbacks that objects now call.
    add_link_options(-fsanitize=undefined)
  endif()
endif()

include_directories(${CMAKE_SOURCE_DIR})
