#include "core/safekeeper/feedback.h"

#include <algorithm>

namespace argon::safekeeper {
namespace {

uint64_t oldest(uint64_t a, uint64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

}  // namespace

void add_feedback(consensus::AppendResponse& sum, const ReaderState& reader) {
  if (reader.is_pageserver &&
      (!sum.pageserver || sum.pageserver->last_received < reader.pageserver.last_received))
    sum.pageserver = reader.pageserver;
  sum.standby.xmin = oldest(sum.standby.xmin, reader.standby.xmin);
  sum.standby.catalog_xmin = oldest(sum.standby.catalog_xmin, reader.standby.catalog_xmin);
  sum.standby.reply_time = std::max(sum.standby.reply_time, reader.standby.reply_time);
}

}  // namespace argon::safekeeper
