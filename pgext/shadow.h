// Shadow mode (DESIGN 5.10), for tests: every evicted page is also written to a plain file under
// argon_shadow/, and compared when the pageserver gives the page back. What redo may legitimately
// change (hint bits, unused space, command ids; the masks of the server's own consistency check) is
// masked on both sides. A difference is an ERROR that names block, LSNs and the first byte, and both
// pages stay in files for a look. Without argon.shadow every call returns at once.
#ifndef ARGON_PGEXT_SHADOW_H
#define ARGON_PGEXT_SHADOW_H

#include "argon.h"

void shadow_prepare(void);  // in the postmaster: makes the folder
void shadow_write(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page);
void shadow_compare(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page);
// The fork was made, dropped (from = 0) or truncated. Never fails.
void shadow_forget(RelFileNode node, ForkNumber fork, BlockNumber from);
// Of a database that is dropped, or moved to another tablespace.
void shadow_forget_database(Oid database);

#endif
