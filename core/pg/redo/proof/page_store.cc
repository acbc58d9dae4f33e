#include "core/pg/redo/proof/page_store.h"

#include <algorithm>

namespace argon::pg::redo {

bool DataDirectory::read(const RelTag& rel, BlockNumber block, PageBytes& page) {
  std::string path = root_ + "/" + relation_path(rel);
  if (block >= kBlocksPerFile) path += "." + std::to_string(block / kBlocksPerFile);
  if (path != open_path_) {
    file_ = std::ifstream(path, std::ios::binary);
    open_path_ = path;
  }
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(block % kBlocksPerFile * kBlockSize));
  file_.read(reinterpret_cast<char*>(page.data()), kBlockSize);
  return file_.gcount() == static_cast<std::streamsize>(kBlockSize);
}

PageBytes& PageStore::page(const BlockTag& tag) {
  // Records of one relation come in rows.
  if (latest_ == nullptr || latest_name_ != tag.rel) {
    latest_ = &relations_[tag.rel];
    latest_name_ = tag.rel;
  }
  Relation& rel = *latest_;
  if (rel.pages.size() <= tag.block) rel.pages.resize(tag.block + 1u);
  std::unique_ptr<PageBytes>& page = rel.pages[tag.block];
  if (page == nullptr) {
    page = std::make_unique_for_overwrite<PageBytes>();
    if (tag.block >= rel.seed_blocks || !seed_.read(seed_name(tag.rel), tag.block, *page)) page->fill(0);
  }
  return *page;
}

bool PageStore::peek(const BlockTag& tag, PageBytes& out) {
  auto rel = relations_.find(tag.rel);
  if (rel != relations_.end()) {
    const auto& pages = rel->second.pages;
    if (tag.block < pages.size() && pages[tag.block] != nullptr) {
      out = *pages[tag.block];
      return true;
    }
    if (tag.block >= rel->second.seed_blocks) return false;
  }
  return seed_.read(seed_name(tag.rel), tag.block, out);
}

Status PageStore::carry_out(const Effect& effect) {
  if (const auto* m = std::get_if<BlockMutation>(&effect)) return apply_mutation(m->mutation, page(m->block));
  if (const auto* t = std::get_if<RelationTruncate>(&effect)) truncate(t->rel, t->blocks);
  if (const auto* d = std::get_if<RelationDrop>(&effect)) drop(d->rel);
  if (const auto* d = std::get_if<DatabaseDrop>(&effect)) drop_database(*d);
  if (const auto* d = std::get_if<DatabaseCopy>(&effect)) copy_database(*d);
  return {};
}

void PageStore::truncate(const RelTag& tag, BlockNumber blocks) {
  Relation& rel = relations_[tag];
  if (rel.pages.size() > blocks) rel.pages.resize(blocks);
  rel.seed_blocks = std::min(rel.seed_blocks, blocks);
}

void PageStore::drop(const RelFileNode& node) {
  for (uint8_t fork = 0; fork <= kLastFork; fork++) truncate({node, static_cast<Fork>(fork)}, 0);
}

void PageStore::copy_database(const DatabaseCopy& copy) {
  std::vector<RelTag> found;
  for (const auto& [tag, rel] : relations_)
    if (tag.node.db == copy.source_db && tag.node.spc == copy.source_tablespace) found.push_back(tag);
  for (const RelTag& from : found) {
    RelTag to{{copy.tablespace, copy.db, from.node.rel}, from.fork};
    Relation& target = relations_[to];
    const Relation& source = relations_[from];
    target = Relation{{}, source.seed_blocks};
    for (const auto& page : source.pages)
      target.pages.push_back(page == nullptr ? nullptr : std::make_unique<PageBytes>(*page));
  }
  copied_[{copy.tablespace, copy.db}] = {copy.source_tablespace, copy.source_db};
}

void PageStore::drop_database(const DatabaseDrop& drop) {
  for (auto& [tag, rel] : relations_)
    if (tag.node.db == drop.db && tag.node.spc == drop.tablespace) rel = Relation{{}, 0};
}

RelTag PageStore::seed_name(RelTag tag) const {
  for (auto at = copied_.find({tag.node.spc, tag.node.db}); at != copied_.end();
       at = copied_.find({tag.node.spc, tag.node.db}))
    tag.node = {at->second.first, at->second.second, tag.node.rel};
  return tag;
}

}  // namespace argon::pg::redo
