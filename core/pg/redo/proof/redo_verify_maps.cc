#include "core/pg/redo/proof/redo_verify_maps.h"

#include <filesystem>

#include "core/pg/page.h"

namespace argon::pg::redo {
namespace {

constexpr size_t kMapBegin = 24;  // behind the page header

}  // namespace

CopiedMaps::CopiedMaps(const std::string& seed, Read read) : read_(std::move(read)) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(seed + "/base", none)) {
    std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos)
      databases_.insert({kDefaultTablespace, static_cast<Oid>(std::stoul(name))});
  }
}

void CopiedMaps::follow(const DecodedRecord& record, const DecodedBlock& block) {
  if (block.fork != Fork::Vm) return;
  BlockTag tag = block.tag();
  if (block.apply_image) {
    maps_.erase(tag);
    auto created = created_.find({block.rel.spc, block.rel.db});
    bool by_copy = created != created_.end() && created->second == record.xid && record.is(Rmgr::Xlog);
    if (by_copy && block.hole_length > 0) copied(tag);
    return;
  }
  auto found = maps_.find(tag);
  PageBytes ours;
  if (found == maps_.end() || !read_(tag, ours)) return;
  for (auto& [source, lost] : found->second)
    for (size_t i = kMapBegin; i < kBlockSize; i++) lost[i] &= static_cast<uint8_t>(~ours[i]);
}

// A template may itself be such a copy: the bits that redo lost there were copied too.
void CopiedMaps::copied(const BlockTag& tag) {
  Database target{tag.rel.node.spc, tag.rel.node.db};
  PerTemplate pages;
  for (const Database& source : databases_) {
    if (source == target || refuted_[target].contains(source)) continue;
    BlockTag from{{{source.first, source.second, tag.rel.node.rel}, Fork::Vm}, tag.block};
    PageBytes page;
    if (!read_(from, page) || page_is_new(page)) continue;
    auto copy = maps_.find(from);
    if (copy != maps_.end() && !copy->second.empty())
      for (size_t i = kMapBegin; i < kBlockSize; i++) page[i] |= copy->second.begin()->second[i];
    pages[source] = page;
  }
  if (!pages.empty()) maps_[tag] = std::move(pages);
}

bool CopiedMaps::explains(const BlockTag& tag, const PageBytes& ours, const PageBytes& image) {
  std::set<Database>& refuted = refuted_[{tag.rel.node.spc, tag.rel.node.db}];
  PerTemplate& pages = maps_[tag];
  std::erase_if(pages, [&](const auto& candidate) {
    PageBytes expected = ours;
    for (size_t i = kMapBegin; i < kBlockSize; i++) expected[i] |= candidate.second[i];
    if (expected != image) refuted.insert(candidate.first);
    return refuted.contains(candidate.first);
  });
  compared_++;
  if (ours != image) with_lost_bits_++;
  return !pages.empty();
}

void CopiedMaps::follow(const DecodedRecord& record, const Effect& effect) {
  if (const auto* m = std::get_if<BlockMutation>(&effect)) {
    auto found = maps_.find(m->block);
    if (found == maps_.end()) return;
    for (auto& [source, lost] : found->second)
      if (!apply_mutation(m->mutation, lost).ok()) lost.fill(0xFF);  // then nothing is explained
  } else if (const auto* t = std::get_if<RelationTruncate>(&effect)) {
    forget(t->rel, t->blocks);
  } else if (const auto* d = std::get_if<RelationDrop>(&effect)) {
    forget({d->rel, Fork::Vm}, 0);
  } else if (const auto* c = std::get_if<DatabaseCreate>(&effect)) {
    databases_.insert({c->tablespace, c->db});
    created_[{c->tablespace, c->db}] = record.xid;
  } else if (const auto* copy = std::get_if<DatabaseCopy>(&effect)) {
    databases_.insert({copy->tablespace, copy->db});
  } else if (const auto* gone = std::get_if<DatabaseDrop>(&effect)) {
    forget_database({gone->tablespace, gone->db});
  }
}

void CopiedMaps::forget(const RelTag& rel, BlockNumber from) {
  std::erase_if(maps_, [&](const auto& map) { return map.first.rel == rel && map.first.block >= from; });
}

void CopiedMaps::forget_database(const Database& database) {
  databases_.erase(database);
  created_.erase(database);
  refuted_.erase(database);
  std::erase_if(maps_, [&](const auto& map) {
    return Database(map.first.rel.node.spc, map.first.rel.node.db) == database;
  });
}

}  // namespace argon::pg::redo
