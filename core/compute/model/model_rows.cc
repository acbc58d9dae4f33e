#include "core/compute/model/model_rows.h"

#include <algorithm>

namespace argon::compute {

namespace {

constexpr size_t kFillingMin = 8;
constexpr size_t kFillingMax = 300;

}  // namespace

Status ModelRows::lock(Task& task, const std::vector<uint64_t>& keys) {
  auto taken = [this](uint64_t key) { return locked_.contains(key); };
  while (std::ranges::any_of(keys, taken)) TRY(released_.wait(task));
  locked_.insert(keys.begin(), keys.end());
  return {};
}

void ModelRows::unlock(const std::vector<uint64_t>& keys) {
  for (uint64_t key : keys) locked_.erase(key);
  released_.notify_all();
}

Status ModelRows::open(Task& task, Lsn start) {
  TRY_ASSIGN(std::optional<uint32_t> blocks, writer_.open_table(task, rows_relation()));
  if (!blocks) return writer_.make_table(task, rows_relation());
  if (*blocks == 0) return {};
  ReadLsn at{start, start};
  TRY_ASSIGN(Bytes segment, read_until_there<Bytes>(task, context_, [&](Task& t) {
               return context_.client.slru_segment(t, wire::SlruKind::Clog, 0, at);
             }));
  return find_rows(task, *blocks, CommitLog(std::move(segment)));
}

Status ModelRows::find_rows(Task& task, uint32_t blocks, const CommitLog& log) {
  for (uint32_t block = 0; block < blocks; block++) {
    TRY_ASSIGN(Bytes page, writer_.page(task, {rows_relation(), block}));
    auto found = visible_rows(page, log);
    if (!found.ok()) return context_.judge(found.error());
    for (const PlacedRow& placed : *found) {
      Kept kept{placed.row.value, {rows_relation(), block, placed.line}};
      if (!rows_.emplace(placed.row.key, kept).second)
        return context_.judge(
            Error(Code::Corrupt, "row " + std::to_string(placed.row.key) + " is there twice"));
    }
  }
  return {};
}

Result<RowOutcome> ModelRows::run(Task& task, Random& random, const RowTransaction& transaction) {
  TRY(lock(task, transaction.keys));
  RowValues before;
  for (uint64_t key : transaction.keys) {
    auto row = rows_.find(key);
    before.push_back(row == rows_.end() ? std::nullopt : std::optional(row->second.value));
  }
  // What a zombie has before it says nothing.
  TRY(context_.still_writer());
  RowOutcome outcome;
  outcome.values = transaction.change(before);
  CHECK(outcome.values.size() == before.size());
  std::map<uint64_t, Kept> changed;
  for (size_t i = 0; i < before.size(); i++) {
    if (outcome.values[i] == before[i]) continue;
    CHECK(outcome.values[i].has_value(), "a row is not taken away");
    changed[transaction.keys[i]].value = *outcome.values[i];
  }
  if (!changed.empty()) TRY(commit(task, random, std::move(changed), outcome));
  unlock(transaction.keys);
  return outcome;
}

Status ModelRows::commit(Task& task, Random& random, std::map<uint64_t, Kept> rows, RowOutcome& outcome) {
  TRY_ASSIGN(pg::Xid xid, writer_.begin_transaction(task));
  TRY(write_rows(task, random, xid, rows));
  std::set<pg::BlockTag> pages;
  for (const auto& [key, row] : rows) pages.insert({row.place.rel, row.place.block});
  outcome.pages = pages.size();
  outcome.aborted = random.chance(context_.config.aborts);
  TRY_ASSIGN(Lsn end, writer_.end_transaction(task, xid, !outcome.aborted));
  if (outcome.aborted) return {};
  for (auto& [key, row] : rows) rows_[key] = row;
  outcome.commit_end = end;
  return context_.wait_acknowledged(task, xid, end);
}

// The place of each is where it now lies.
Status ModelRows::write_rows(Task& task, Random& random, pg::Xid xid, std::map<uint64_t, Kept>& rows) {
  for (auto& [key, row] : rows) {
    Bytes filling(random.log_uniform(kFillingMin, kFillingMax));
    random.fill(filling);
    Bytes tuple = row_tuple(xid, {key, row.value}, filling);
    auto old = rows_.find(key);
    if (old == rows_.end()) {
      TRY_ASSIGN(row.place, writer_.insert(task, random, rows_relation(), xid, tuple));
    } else {
      TRY_ASSIGN(row.place, writer_.update(task, random, old->second.place, xid, tuple));
    }
  }
  return {};
}

}  // namespace argon::compute
