#include "scenarios/draw.h"

#include "core/pg/wal_page.h"

namespace argon::scenarios {

Lsn draw_first_wal(Random& random) {
  uint64_t segments = 1 + random.below(3);
  uint64_t before_end = random.log_uniform(8, 1u << 20);
  bool at_start = random.below(2) == 0;
  if (at_start) return Lsn(pg::kWalSegmentSize);
  Lsn at(((segments + 1) * pg::kWalSegmentSize - before_end) & ~uint64_t{7});
  return pg::page_offset(at) < pg::page_header_size(at) ? pg::page_start(at) : at;
}

pg::Xid draw_next_xid(Random& random) {
  constexpr pg::Xid kXidsPerClogPage = 32'768;
  auto before_end = static_cast<pg::Xid>(random.log_uniform(1, 8000));
  bool first = random.below(2) == 0;
  return first ? pg::kFirstNormalXid : kXidsPerClogPage - before_end;
}

}  // namespace argon::scenarios
