// Scrub of committed WAL beside that of the other safekeepers: their hash chains
// (core/safekeeper/wal_chain.h) are the same wherever two have one. That finds what no checksum covers, and
// WAL that is whole but not the same.

#include <fmt/format.h>

#include <algorithm>

#include "core/env/io.h"
#include "core/pg/wal_page.h"
#include "daemons/main/scrub.h"

namespace argon::cli {
namespace {

using safekeeper::ChainLink;

// From its segments, and what it has instead.
safekeeper::ReadWal reader_of(Disk& disk, const StoreFolder& store, const KeptWal& kept,
                              ScrubReport& report) {
  return [&disk, &store, &report, &kept](Task& task, Lsn at, ByteSpan into) -> Result<size_t> {
    std::string path = join_path(kept.folder, pg::segment_file_name(pg::segment_number(at)));
    bool stored = kept.control.evicted &&
                  pg::segment_start(at) == safekeeper::last_segment_start(kept.control.closed_at);
    if (stored) path = kept.tail;
    TRY_ASSIGN(std::unique_ptr<File> file, (stored ? store.disk : disk).open(task, path, OpenMode::Read));
    TRY_ASSIGN(size_t n, file->read_at(task, pg::segment_offset(at), into));
    report.count(n);
    return n;
  };
}

// Its links, and the hash at `common` where its WAL is still there.
Result<safekeeper::WalChain> links_of(Task& task, Disk& disk, const StoreFolder& store, const KeptWal& kept,
                                      Lsn common, ScrubReport& report) {
  safekeeper::WalChain links = kept.control.chain;
  const ChainLink* known = safekeeper::last_link_before(links, common);
  if (known == nullptr) return links;
  auto more = safekeeper::extend_chain(task, *known, common, reader_of(disk, store, kept, report));
  if (more.is(Code::NotFound)) return links;
  TRY(more);
  if (!more->empty()) links.push_back(more->back());
  return links;
}

}  // namespace

Status scrub_wal_chains(Task& task, Disk& disk, const StoreFolder& store, const KeptWals& wals,
                        ScrubReport& report) {
  report.part("hash chains of safekeepers");
  for (const auto& [id, kept_by] : wals) {
    if (kept_by.size() < 2) continue;
    Lsn common = std::ranges::min(kept_by, {}, [](const KeptWal& kept) {
                   return kept.control.acceptor.commit;
                 }).control.acceptor.commit;
    std::map<Lsn, std::pair<uint64_t, uint64_t>> seen;  // the hash, and the safekeeper that has it
    for (const KeptWal& kept : kept_by) {
      TRY_ASSIGN(safekeeper::WalChain links, links_of(task, disk, store, kept, common, report));
      for (const ChainLink& link : links) {
        auto [first, fresh] = seen.try_emplace(link.at, link.hash, kept.safekeeper);
        if (fresh || first->second.first == link.hash) continue;
        report.finding(kept.folder, id,
                       {Error(Code::Corrupt, fmt::format("its WAL up to {} is not that of safekeeper {}",
                                                         to_string(link.at), first->second.second)),
                        {},
                        link.at});
        break;
      }
    }
  }
  return {};
}

}  // namespace argon::cli
