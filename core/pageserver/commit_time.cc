#include "core/pageserver/commit_time.h"

#include <algorithm>

#include "core/base/codec.h"
#include "core/pageserver/reconstruct.h"

namespace argon::pageserver {

namespace {

constexpr uint64_t kStep = 8;  // records end at multiples of it

}  // namespace

Bytes encode_commit_time(int64_t time) {
  Bytes bytes;
  Writer(bytes).le(time);
  return bytes;
}

Result<std::optional<CommitTime>> last_commit(Task& task, LayerStore& store, Lsn lsn) {
  Key key = commit_time_key();
  TRY_ASSIGN(Chain chain, store.collect(task, key, lsn));
  if (chain.versions.empty()) return std::optional<CommitTime>();
  TRY_ASSIGN(Bytes content, newest_image(key, chain));
  if (content.size() != 8) return Error(Code::Corrupt, describe(key) + ": the value has the wrong length");
  return std::optional(CommitTime{chain.versions.front().lsn, load_le<int64_t>(content.data())});
}

Result<LsnAtTime> lsn_at_time(Task& task, LayerStore& store, Lsn low, Lsn high, int64_t time) {
  using Kind = LsnAtTime::Kind;
  TRY_ASSIGN(std::optional<CommitTime> last, last_commit(task, store, high));
  if (!last) return LsnAtTime{Kind::NoData, low};
  if (last->time <= time) return LsnAtTime{Kind::Future, high};
  TRY_ASSIGN(std::optional<CommitTime> first, last_commit(task, store, low));
  if (first && first->time > time) return LsnAtTime{Kind::Past, low};
  // No commit up to `below` is later than the time; one up to `above` is.
  Lsn below = low;
  Lsn above = last->lsn;
  std::optional<CommitTime> found = first;
  while (above - below > kStep) {
    Lsn middle(below.value + (above - below) / 2 / kStep * kStep);
    if (middle == below) middle = below + kStep;
    TRY_ASSIGN(std::optional<CommitTime> commit, last_commit(task, store, middle));
    if (commit && commit->time > time) {
      above = std::min(middle, commit->lsn);
    } else {
      below = middle;
      if (commit) found = commit;
    }
  }
  if (!found) return LsnAtTime{Kind::Past, low};
  return LsnAtTime{Kind::Present, std::max(found->lsn, low)};
}

}  // namespace argon::pageserver
