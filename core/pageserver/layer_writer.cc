#include "core/pageserver/layer_writer.h"

#include "core/env/io.h"
#include "core/env/points.h"

namespace argon::pageserver {

Status LayerWriter::write_piece(Task& task) {
  task.env().probe("pageserver.layer-in-pieces"_probe);
  TRY(writes_.join(task));
  in_flight_ = builder_.take(std::move(in_flight_.blocks));
  writes_.spawn("write layer",
                [this](Task& t) { return write_all_at(t, file_, in_flight_.offset, in_flight_.blocks); });
  return {};
}

Status LayerWriter::add(Task& task, const Key& key, Lsn lsn, ByteView value) {
  builder_.add(key, lsn, value);
  return builder_.has_piece() ? write_piece(task) : Status();
}

Status LayerWriter::add_all(Task& task, const std::function<bool(LayerBuilder&)>& next) {
  for (bool more = true; more;) {
    task.env().offload(task, [&] { more = next(builder_); });
    if (builder_.has_piece()) TRY(write_piece(task));
  }
  return {};
}

Status LayerWriter::finish(Task& task, const Key& end) {
  std::pair<LayerBuilder::Piece, LayerBuilder::Piece> rest;
  task.env().offload(task, [&] { rest = builder_.finish_pieces(end); });
  TRY(writes_.join(task));
  for (const LayerBuilder::Piece& piece : {std::cref(rest.first), std::cref(rest.second)})
    TRY(write_all_at(task, file_, piece.offset, piece.blocks));
  return {};
}

Result<uint64_t> LayerWriter::write_file(Task& task, const std::string& path, const TenantTimelineId& owner,
                                         LayerName& name, bool compress, const Fill& fill) {
  TRY_ASSIGN(auto file, task.env().disk().open(task, path, OpenMode::Create));
  bool small = task.env().buggify("pageserver.writes-small-pieces"_rare);
  Scope writes(task);
  LayerWriter writer(writes, *file,
                     LayerBuilder(owner, name, small ? 1 : LayerBuilder::kPieceBytes, compress));
  auto write = [&]() -> Status {
    TRY_ASSIGN(name.keys.end, fill(task, writer));
    return writer.finish(task, name.keys.end);
  };
  Status written = write();
  Status ended = writes.stop(task);
  TRY(written);
  TRY(ended);
  TRY(file->fdatasync(task));
  return file->size(task);
}

Result<std::shared_ptr<LayerFile>> LayerWriter::write(Task& task, const std::string& folder,
                                                      const TenantTimelineId& owner, LayerName name,
                                                      NodeCache& cache, bool compress, const Fill& fill) {
  Disk& disk = task.env().disk();
  std::string temporary = join_path(folder, to_string(name)) + ".tmp";
  auto written = write_file(task, temporary, owner, name, compress, fill);
  std::string path = join_path(folder, to_string(name));
  Status named = written.ok() ? disk.rename(task, temporary, path) : Status(written.error());
  if (named.ok()) named = disk.sync_dir(task, folder);
  if (!named.ok()) {
    ignore_result(disk.unlink(task, temporary));  // what is left is removed at the next start
    ignore_result(disk.unlink(task, path));
    return named.error().with("write layer " + path);
  }
  auto layer = std::make_shared<LayerFile>(owner, name, path, *written, cache);
  layer->set_resident();
  return layer;
}

}  // namespace argon::pageserver
