#include "core/compute/model/model_start.h"

#include <algorithm>

#include "core/pg/tar.h"
#include "core/pg/wal_page.h"

namespace argon::compute {

namespace {

// More than the fabricated record and the page headers it may straddle.
constexpr size_t kWindow = 512;

// Keeps pg_control and the first WAL bytes of an archive that streams by.
class StartCollector {
 public:
  explicit StartCollector(Lsn start) : start_(start), window_(kWindow) {}

  Status take(ByteView bytes) {
    reader_.feed(bytes);
    while (true) {
      TRY_ASSIGN(pg::TarReader::Event event, reader_.next());
      if (event == pg::TarReader::Event::NeedMore || event == pg::TarReader::Event::End) return {};
      if (event == pg::TarReader::Event::Entry) {
        offset_ = 0;
        continue;
      }
      take_data(reader_.entry().name, reader_.data());
      offset_ += reader_.data().size();
    }
  }

  Result<ModelStart> finish() const {
    auto wrong = [this](std::string_view what) {
      return Error(Code::Corrupt, "base backup at " + to_string(start_) + ": " + std::string(what));
    };
    if (!reader_.complete()) return wrong("the archive is cut off");
    TRY_ASSIGN(pg::ControlFile control, pg::decode_control_file(control_).with("base backup"));
    Lsn record = pg::record_start_at(start_);
    if (control.checkpoint_lsn != record || control.checkpoint.redo != record)
      return wrong("pg_control points to " + to_string(control.checkpoint_lsn));
    auto length = load_le<uint32_t>(window_.data() + (record - start_));
    if (length < pg::kRecordHeader || length > kWindow / 2)
      return wrong("no checkpoint record lies there (length " + std::to_string(length) + ")");
    Lsn end = pg::record_end(record, length);
    return ModelStart{control, record, end, to_bytes(ByteView(window_).first(end - start_))};
  }

 private:
  void take_data(const std::string& name, ByteView data) {
    if (name == "global/pg_control") append(control_, data);
    if (!name.starts_with("pg_wal/")) return;
    Result<uint64_t> number = pg::parse_segment_file_name(std::string_view(name).substr(7));
    if (!number.ok()) return;
    Lsn at(*number * pg::kWalSegmentSize + offset_);
    Lsn from = std::max(at, start_);
    Lsn to = std::min(at + data.size(), start_ + kWindow);
    if (from >= to) return;
    std::copy_n(data.begin() + static_cast<ptrdiff_t>(from - at), to - from,
                window_.begin() + static_cast<ptrdiff_t>(from - start_));
  }

  Lsn start_;
  pg::TarReader reader_;
  uint64_t offset_ = 0;  // in the current file
  Bytes control_;
  Bytes window_;  // the WAL from start_ on
};

}  // namespace

Result<ModelStart> fetch_model_start(Task& task, const BasebackupRequest& request) {
  CHECK(request.at.has_value());
  StartCollector collector(*request.at);
  TRY(fetch_basebackup(task, request, [&collector](Task&, ByteView bytes) { return collector.take(bytes); }));
  return collector.finish();
}

}  // namespace argon::compute
