// Names: files of a data directory, relations, WAL segments.

#include "core/pg/datadir.h"

#include "core/pg/wal_page.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace argon;
  using namespace argon::pg;
  std::string_view text = as_text(ByteView(data, size));
  DataPath path = classify_data_path(text);
  if (path.kind == DataPath::Kind::Relation) {
    std::string file = path.file == 0 ? "" : "." + std::to_string(path.file);
    CHECK(relation_path(path.rel) + file == text, std::string(text));
  }
  if (auto tag = parse_rel_tag(text); tag.ok()) CHECK(*parse_rel_tag(to_string(*tag)) == *tag);
  uint32_t tli = 0;
  if (auto number = parse_segment_file_name(text, &tli); number.ok())
    CHECK(segment_file_name(*number, tli) == text);
  return 0;
}
