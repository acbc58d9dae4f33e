// From the chain of a key to its content at an LSN. Pure.

#pragma once

#include "core/pageserver/layer_store.h"
#include "core/pg/redo/settings.h"

namespace argon::pageserver {

// The page: the chain's base (an image, or what makes the page anew), and everything above applied,
// oldest first; a relation's in canonical form (core/pg/redo/canonical.h), which reads and image layers
// give alike: its hole is zero, and it carries its checksum where the cluster has them. NotFound where there
// is no version at all. Unsupported: a record that cannot be redone, named. Corrupt: the chain has no base,
// or a record contradicts the page.
Result<Bytes> reconstruct_page(const Key& key, const Chain& chain, const pg::redo::RedoSettings& settings);

// The content of a key whose values are images (all but pages). NotFound where there is none, or it
// was taken back.
Result<Bytes> newest_image(const Key& key, const Chain& chain);

}  // namespace argon::pageserver
