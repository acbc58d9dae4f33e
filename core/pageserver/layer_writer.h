// LayerWriter: a layer file on its way to the disk. What is big of it is written as it is built.

#pragma once

#include <functional>
#include <memory>

#include "core/env/env.h"
#include "core/fiber/scope.h"
#include "core/pageserver/layer_file.h"
#include "core/pageserver/layer_format.h"

namespace argon::pageserver {

class LayerWriter {
 public:
  // Adds all entries, and says where the layer's range of keys ends.
  using Fill = std::function<Result<Key>(Task&, LayerWriter&)>;

  // Writes a layer into the folder and makes it durable, under its name with the range's end as `fill` says.
  // After an error there is no such file, as far as it could be removed.
  static Result<std::shared_ptr<LayerFile>> write(Task& task, const std::string& folder,
                                                  const TenantTimelineId& owner, LayerName name,
                                                  NodeCache& cache, bool compress, const Fill& fill);

  // As LayerBuilder::add().
  Status add(Task& task, const Key& key, Lsn lsn, ByteView value);
  // Calls `next` off the reactor until it is false: it adds entries until the builder has a piece (true), or
  // until there are no more.
  Status add_all(Task& task, const std::function<bool(LayerBuilder&)>& next);
  uint64_t value_bytes() const { return builder_.value_bytes(); }

 private:
  LayerWriter(Scope& writes, File& file, LayerBuilder builder)
      : writes_(writes), file_(file), builder_(std::move(builder)) {}

  Status write_piece(Task& task);
  Status finish(Task& task, const Key& end);
  // The file's size, durable.
  static Result<uint64_t> write_file(Task& task, const std::string& path, const TenantTimelineId& owner,
                                     LayerName& name, bool compress, const Fill& fill);

  Scope& writes_;
  File& file_;
  LayerBuilder builder_;
  LayerBuilder::Piece in_flight_;  // being written by a fiber of writes_, while the next is built
};

}  // namespace argon::pageserver
