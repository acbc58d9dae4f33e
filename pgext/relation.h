// What smgr.c asks about a relation fork before it does anything with it.
#ifndef ARGON_PGEXT_RELATION_H
#define ARGON_PGEXT_RELATION_H

#include "argon.h"

// True for relations that live in local files only: temporary ones, and unlogged ones, which are
// known by their init fork's file (made by this server, or laid out by the base backup). The answer
// is remembered per process until any init fork is made or dropped.
bool relation_is_local(RelFileNodeBackend node);

// An init fork was made or a relation dropped: what processes remember about it is void.
void relation_locality_changed(void);

// Makes the stub from what the pageserver knows if there is none yet; false if the fork does not
// exist. May wait.
bool relation_ensure_stub(RelFileNode node, ForkNumber fork);

// Forks known not to exist, so that the server's frequent questions for absent free space and
// visibility maps are answered here. Only this server can make them, so it stays right.
void relation_note_absent(RelFileNode node, ForkNumber fork);

#endif
