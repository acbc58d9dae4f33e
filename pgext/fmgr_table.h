// The server's table of built-in functions, fmgr_builtins[], whose entries can be replaced.
#ifndef ARGON_PGEXT_FMGR_TABLE_H
#define ARGON_PGEXT_FMGR_TABLE_H

#include "argon.h"

#include "fmgr.h"

// From now on SQL that calls the C function `name` of the server calls `ours`. Returns the server's own.
// FATAL where this build of PostgreSQL has not exactly one such entry.
PGFunction argon_replace_builtin(const char* name, PGFunction ours);

#endif
