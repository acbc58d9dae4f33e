// From the chain of a key to its content at an LSN. Pure, but for what redoes the records of extensions.

#pragma once

#include <span>

#include "core/pageserver/layer_store.h"
#include "core/pg/redo/settings.h"

namespace argon::pageserver {

// A WAL record as it was stored, header and payload.
struct StoredRecord {
  Lsn start;
  Lsn end;
  ByteView bytes;  // borrowed
  uint8_t manager;
};

class RedoOfExtensions {
 public:
  virtual ~RedoOfExtensions() = default;
  // Applies the records, all of extensions' resource managers, one after the other. The page is of zeros
  // where the first makes it anew.
  virtual Status apply(const pg::BlockTag& block, std::span<const StoredRecord> records, ByteSpan page) = 0;
};

// The page: the chain's base (an image, or what makes the page anew), and everything above applied,
// oldest first; a relation's in canonical form (core/pg/redo/canonical.h), which reads and image layers
// give alike: its hole is zero, and it carries its checksum where the cluster has them. NotFound where there
// is no version at all. Unsupported: a record that cannot be redone, named. Corrupt: the chain has no base,
// or a record contradicts the page. Records of extensions are given to `extensions`, as many at once as lie
// side by side; without it they are Unsupported.
Result<Bytes> reconstruct_page(const Key& key, const Chain& chain, const pg::redo::RedoSettings& settings,
                               RedoOfExtensions* extensions = nullptr);

// The content of a key whose values are images (all but pages). NotFound where there is none, or it
// was taken back.
Result<Bytes> newest_image(const Key& key, const Chain& chain);

}  // namespace argon::pageserver
