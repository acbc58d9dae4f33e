#include "sim/storage.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "core/base/check.h"
#include "sim/blob.h"

namespace argon::sim {
namespace {

// One coin for each group of so many sectors.
uint64_t spread(uint64_t coins, size_t sectors) {
  uint64_t out = 0;
  for (size_t sector = 0; sector < kPageSize / kSectorSize; sector++)
    out |= (coins >> (sector / sectors) & 1) << sector;
  return out;
}

constexpr std::array<uint8_t, kSectorSize> kZeros{};

// The sectors of a page in which bytes [from, from + size) lie: which, where in it, how many bytes come
// before it, and how many are in it.
template <typename Function>
void each_sector(size_t from, size_t size, Function function) {
  for (size_t done = 0; done < size;) {
    size_t at = (from + done) % kSectorSize;
    size_t n = std::min(size - done, kSectorSize - at);
    function((from + done) / kSectorSize, at, done, n);
    done += n;
  }
}

}  // namespace

void PageBytes::read(size_t from, ByteSpan into) const {
  each_sector(from, into.size(), [&](size_t number, size_t at, size_t done, size_t n) {
    if (sectors_[number] != nullptr)
      std::memcpy(into.data() + done, sectors_[number]->data() + at, n);
    else
      std::memset(into.data() + done, 0, n);
  });
}

void PageBytes::write(size_t from, ByteView bytes) {
  each_sector(from, bytes.size(), [&](size_t number, size_t at, size_t done, size_t n) {
    std::unique_ptr<Sector>& sector = sectors_[number];
    ByteView part = bytes.subspan(done, n);
    if (sector == nullptr && all_zeros(part)) return;
    if (sector == nullptr) sector = std::make_unique<Sector>();
    std::memcpy(sector->data() + at, part.data(), n);
  });
}

void PageBytes::clear_from(size_t from) {
  each_sector(from, kPageSize - from, [&](size_t number, size_t at, size_t, size_t n) {
    if (n == kSectorSize)
      sectors_[number].reset();
    else if (sectors_[number] != nullptr)
      std::memset(sectors_[number]->data() + at, 0, n);
  });
}

bool PageBytes::zeros_from(size_t from) const {
  bool zeros = true;
  each_sector(from, kPageSize - from, [&](size_t number, size_t at, size_t, size_t n) {
    if (sectors_[number] != nullptr) zeros = zeros && all_zeros(ByteView(*sectors_[number]).subspan(at, n));
  });
  return zeros;
}

const uint8_t* PageBytes::sector(size_t number) const {
  return sectors_[number] != nullptr ? sectors_[number]->data() : kZeros.data();
}

void PageBytes::become(const PageBytes& other) {
  for (size_t number = 0; number < sectors_.size(); number++)
    sectors_[number] =
        other.sectors_[number] != nullptr ? std::make_unique<Sector>(*other.sectors_[number]) : nullptr;
}

Inode::Inode(uint64_t id, bool is_directory, uint64_t& pages_in_use)
    : id_(id), is_directory_(is_directory), pages_in_use_(pages_in_use) {}

Inode::~Inode() {
  for (const auto& page : pages_)
    if (page != nullptr) pages_in_use_--;
}

size_t Inode::read(uint64_t offset, ByteSpan into) const {
  if (offset >= size_) return 0;
  size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), size_ - offset));
  for (size_t done = 0; done < n;) {
    size_t index = (offset + done) / kPageSize;
    size_t from = (offset + done) % kPageSize;
    size_t part = std::min(n - done, kPageSize - from);
    const Page* page = index < pages_.size() ? pages_[index].get() : nullptr;
    if (page != nullptr)
      page->data.read(from, into.subspan(done, part));
    else
      std::memset(into.data() + done, 0, part);
    done += part;
  }
  return n;
}

uint64_t Inode::pages_needed(uint64_t offset, size_t n) const {
  uint64_t needed = 0;
  for (uint64_t index = offset / kPageSize; index <= (offset + n - 1) / kPageSize; index++)
    if (index >= pages_.size() || pages_[index] == nullptr) needed++;
  return needed;
}

Inode::Page& Inode::page_for_write(size_t index) {
  if (index >= pages_.size()) pages_.resize(index + 1);
  if (pages_[index] == nullptr) {
    pages_[index] = std::make_unique<Page>();
    pages_in_use_++;
  }
  return *pages_[index];
}

void Inode::clean(Page& page, uint8_t sectors) {
  page.dirty &= static_cast<uint8_t>(~sectors);
  if ((page.dirty | page.dropped) == 0) page.medium.reset();
}

// Keeps what the medium holds of a sector that is about to change.
void Inode::remember(Page& page, size_t sector) {
  const uint8_t* now = page.data.sector(sector);
  if (page.medium == nullptr) {
    if (all_zeros({now, kSectorSize})) return;
    page.medium = std::make_unique<std::array<uint8_t, kPageSize>>();
  }
  std::memcpy(page.medium->data() + sector * kSectorSize, now, kSectorSize);
}

// Changes bytes [from, to) of a page to the given ones, or where `bytes` is null to zeros; then `to` is its
// end.
void Inode::change(size_t index, size_t from, size_t to, const uint8_t* bytes) {
  bool zeros = bytes == nullptr;
  if (!zeros && (index >= pages_.size() || pages_[index] == nullptr)) zeros = all_zeros({bytes, to - from});
  if (zeros && (index >= pages_.size() || pages_[index] == nullptr)) return;
  Page& page = page_for_write(index);
  // A sync in progress covers what was written before it began: the kernel has written it by now.
  if (syncs_ > 0 && page.dirty != 0 && page.epoch < epoch_) clean(page, page.dirty);
  for (size_t sector = from / kSectorSize; sector <= (to - 1) / kSectorSize; sector++) {
    uint8_t bit = static_cast<uint8_t>(1u << sector);
    if (((page.dirty | page.dropped) & bit) == 0) remember(page, sector);
    page.dirty |= bit;
    page.dropped &= static_cast<uint8_t>(~bit);
  }
  page.epoch = epoch_;
  if (bytes != nullptr)
    page.data.write(from, {bytes, to - from});
  else
    page.data.clear_from(from);
  if (!page.listed) {
    page.listed = true;
    dirty_pages_.push_back(static_cast<uint32_t>(index));
  }
}

void Inode::write(uint64_t offset, ByteView from) {
  for (size_t done = 0; done < from.size();) {
    size_t at = (offset + done) % kPageSize;
    size_t part = std::min(from.size() - done, kPageSize - at);
    change((offset + done) / kPageSize, at, at + part, from.data() + done);
    done += part;
  }
  size_ = std::max<uint64_t>(size_, offset + from.size());
}

void Inode::truncate(uint64_t size) {
  if (size < size_) {
    for (size_t index = size / kPageSize; index < pages_.size(); index++) {
      size_t from = index == size / kPageSize ? size % kPageSize : 0;
      if (from < kPageSize) change(index, from, kPageSize, nullptr);
    }
  }
  size_ = size;
}

bool Inode::may_hold_beyond(uint64_t offset) const {
  auto holds = [](const uint8_t* from, const uint8_t* to) {
    return std::any_of(from, to, [](uint8_t b) { return b != 0; });
  };
  for (size_t index = offset / kPageSize; index < pages_.size(); index++) {
    if (pages_[index] == nullptr) continue;
    const Page& page = *pages_[index];
    size_t from = index == offset / kPageSize ? offset % kPageSize : 0;
    if (!page.data.zeros_from(from)) return true;
    if (page.medium == nullptr) continue;
    for (size_t sector = from / kSectorSize; sector < kPageSize / kSectorSize; sector++) {
      if (((page.dirty | page.dropped) >> sector & 1) == 0) continue;
      const uint8_t* medium = page.medium->data();
      if (holds(medium + std::max(from, sector * kSectorSize), medium + (sector + 1) * kSectorSize))
        return true;
    }
  }
  return false;
}

Inode::SyncToken Inode::begin_sync() {
  syncs_++;
  return {epoch_++, size_};
}

template <typename F>
void Inode::finish_sync(const SyncToken& token, F&& per_page) {
  CHECK(syncs_ > 0);
  syncs_--;
  std::vector<uint32_t> later;
  for (uint32_t index : dirty_pages_) {
    Page& page = *pages_[index];
    if (page.dirty != 0 && page.epoch > token.epoch) {
      later.push_back(index);
      continue;
    }
    if (page.dirty != 0) per_page(page);
    page.listed = false;
  }
  dirty_pages_ = std::move(later);
}

void Inode::end_sync(const SyncToken& token) {
  finish_sync(token, [this](Page& page) { clean(page, page.dirty); });
  // A later sync that ended earlier has covered more.
  if (token.epoch > synced_epoch_) {
    synced_epoch_ = token.epoch;
    durable_size_ = token.size;
  }
  if (syncs_ == 0 && dirty_pages_.empty()) trim();
}

void Inode::fail_sync(const SyncToken& token) {
  finish_sync(token, [](Page& page) {
    page.dropped |= page.dirty;
    page.dirty = 0;
  });
}

// Forgets pages that lie beyond the file's end, now and on the medium.
void Inode::trim() {
  size_t keep = (std::max(size_, durable_size_) + kPageSize - 1) / kPageSize;
  while (pages_.size() > keep) {
    if (pages_.back() != nullptr) {
      if (pages_.back()->dropped != 0) return;
      pages_in_use_--;
    }
    pages_.pop_back();
  }
}

// Sets sectors back to what the medium holds. How many of them changed by it.
uint32_t Inode::restore(Page& page, uint8_t sectors) {
  uint32_t changed = 0;
  for (size_t sector = 0; sector < kPageSize / kSectorSize; sector++) {
    if ((sectors >> sector & 1) == 0) continue;
    const uint8_t* now = page.data.sector(sector);
    const uint8_t* old = page.medium != nullptr ? page.medium->data() + sector * kSectorSize : kZeros.data();
    if (std::memcmp(now, old, kSectorSize) == 0) continue;
    page.data.write(sector * kSectorSize, {old, kSectorSize});
    changed++;
  }
  return changed;
}

void Inode::crash(Random& random, const CrashRules& rules, CrashLoss& loss) {
  syncs_ = 0;
  uint64_t fate = random.below(4);
  bool tear = rules.tear_sectors && fate >= 2;
  bool lose = rules.lose_data && (fate == 0 || (fate >= 2 && !rules.tear_sectors));
  uint32_t lost = 0;
  bool kept = false;
  for (auto& held : pages_) {
    if (held == nullptr) continue;
    Page& page = *held;
    uint8_t back = 0;
    if (lose) back = page.dirty;
    if (tear && page.dirty != 0) {
      uint64_t coins = spread(random.next(), rules.sector / kSectorSize);
      back = static_cast<uint8_t>(page.dirty & coins);
      kept = kept || (page.dirty & ~coins) != 0;
    }
    lost += restore(page, static_cast<uint8_t>(back | page.dropped));
    page.dirty = page.dropped = 0;
    page.medium.reset();
    page.listed = false;
  }
  dirty_pages_.clear();
  if (size_ != durable_size_ && (lose || tear)) {
    bool old_size = lose || random.below(2) == 0;
    if (old_size) {
      lost++;
      size_ = durable_size_;
      for (size_t index = size_ / kPageSize; index < pages_.size(); index++) {
        size_t from = index == size_ / kPageSize ? size_ % kPageSize : 0;
        if (pages_[index] != nullptr) pages_[index]->data.clear_from(from);
      }
    }
  }
  // Whatever the medium gave back beyond the end is not part of the file.
  if (size_ % kPageSize != 0 && size_ / kPageSize < pages_.size() && pages_[size_ / kPageSize] != nullptr)
    pages_[size_ / kPageSize]->data.clear_from(size_ % kPageSize);
  durable_size_ = size_;
  trim();
  loss.sectors += lost;
  if (lost > 0 && lose) loss.files++;
  if (lost > 0 && tear && kept) loss.torn_files++;
}

void Inode::forget_dropped() {
  for (auto& page : pages_) {
    if (page == nullptr || page->dropped == 0) continue;
    restore(*page, page->dropped);
    page->dropped = 0;
    clean(*page, 0);
  }
  for (auto& [name, child] : entries) child->forget_dropped();
}

bool Inode::holds_dropped() const {
  for (const auto& page : pages_)
    if (page != nullptr && page->dropped != 0) return true;
  return std::any_of(entries.begin(), entries.end(), [](const auto& e) { return e.second->holds_dropped(); });
}

bool Inode::flip(uint64_t offset, unsigned bit) {
  if (offset >= size_) return false;
  Page& page = page_for_write(offset / kPageSize);
  size_t at = offset % kPageSize;
  if (((page.dirty | page.dropped) >> (at / kSectorSize) & 1) != 0) return false;
  uint8_t byte = 0;
  page.data.read(at, {&byte, 1});
  byte ^= static_cast<uint8_t>(1u << bit);
  page.data.write(at, {&byte, 1});
  return true;
}

void Inode::copy_to(Inode& other) const {
  for (size_t index = 0; index < pages_.size(); index++)
    if (pages_[index] != nullptr) other.page_for_write(index).data.become(pages_[index]->data);
  other.size_ = other.durable_size_ = size_;
}

Storage::Storage() {
  root_ = make(true);
}

std::shared_ptr<Inode> Storage::make(bool is_directory) {
  return std::make_shared<Inode>(next_id_++, is_directory, pages_in_use_);
}

std::shared_ptr<Inode> Storage::find(std::string_view path) const {
  std::shared_ptr<Inode> at = root_;
  while (!path.empty()) {
    size_t slash = path.find('/');
    std::string_view name = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (name.empty() || name == ".") continue;
    if (!at->is_directory()) return nullptr;
    auto entry = at->entries.find(name);
    if (entry == at->entries.end()) return nullptr;
    at = entry->second;
  }
  return at;
}

std::shared_ptr<Inode> Storage::parent(std::string_view path, std::string& last_name) const {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  size_t slash = path.rfind('/');
  last_name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  std::shared_ptr<Inode> directory = slash == std::string_view::npos ? root_ : find(path.substr(0, slash));
  if (directory == nullptr || !directory->is_directory() || last_name.empty()) return nullptr;
  return directory;
}

void Storage::link(const std::shared_ptr<Inode>& directory, const std::string& name,
                   std::shared_ptr<Inode> inode) {
  if (inode != nullptr)
    directory->entries[name] = inode;
  else
    directory->entries.erase(name);
  pending_.push_back({{directory, name, std::move(inode)}});
}

void Storage::rename(const std::shared_ptr<Inode>& from, const std::string& old_name,
                     const std::shared_ptr<Inode>& to, const std::string& new_name) {
  std::shared_ptr<Inode> inode = from->entries.at(old_name);
  from->entries.erase(old_name);
  to->entries[new_name] = inode;
  pending_.push_back({{from, old_name, nullptr}, {to, new_name, inode}});
}

bool Storage::overlap(const Change& a, const Change& b) {
  for (const Binding& x : a)
    for (const Binding& y : b)
      if (x.directory == y.directory && x.name == y.name) return true;
  return false;
}

void Storage::apply(const Change& change) {
  for (const Binding& binding : change) {
    if (binding.inode != nullptr)
      binding.directory->durable_entries[binding.name] = binding.inode;
    else
      binding.directory->durable_entries.erase(binding.name);
  }
}

void Storage::sync_names(const Inode& directory) {
  // A change of this directory goes with the earlier changes of the same names elsewhere.
  std::vector<bool> wanted(pending_.size());
  for (size_t i = pending_.size(); i-- > 0;) {
    for (const Binding& binding : pending_[i]) wanted[i] = wanted[i] || binding.directory.get() == &directory;
    for (size_t later = i + 1; later < pending_.size() && !wanted[i]; later++)
      wanted[i] = wanted[later] && overlap(pending_[i], pending_[later]);
  }
  std::vector<Change> left;
  for (size_t i = 0; i < pending_.size(); i++) {
    if (wanted[i])
      apply(pending_[i]);
    else
      left.push_back(std::move(pending_[i]));
  }
  pending_ = std::move(left);
}

CrashLoss Storage::crash(Random& random, const CrashRules& rules) {
  CrashLoss loss;
  uint64_t mode = random.below(4);  // all kept, all lost, a prefix, any
  size_t prefix = random.below(pending_.size() + 1);
  std::vector<const Change*> dropped;
  for (size_t i = 0; i < pending_.size(); i++) {
    bool keep = !rules.lose_names || mode == 0;
    if (rules.lose_names && mode == 2) keep = i < prefix;
    if (rules.lose_names && mode == 3) keep = random.below(2) == 0;
    for (const Change* d : dropped) keep = keep && !overlap(*d, pending_[i]);
    if (keep) {
      apply(pending_[i]);
    } else {
      dropped.push_back(&pending_[i]);
      loss.names++;
    }
  }
  pending_.clear();
  settle(root_, random, rules, loss);
  return loss;
}

void Storage::settle(const std::shared_ptr<Inode>& inode, Random& random, const CrashRules& rules,
                     CrashLoss& loss) {
  if (!inode->is_directory()) {
    inode->crash(random, rules, loss);
    return;
  }
  inode->entries = inode->durable_entries;
  for (auto& [name, child] : inode->entries) settle(child, random, rules, loss);
}

void Storage::forget_dropped() {
  root_->forget_dropped();
}

namespace {

void copy_entries(const Inode& from, Inode& to, const std::function<std::shared_ptr<Inode>(bool)>& make) {
  for (const auto& [name, child] : from.entries) {
    std::shared_ptr<Inode> copy = make(child->is_directory());
    if (child->is_directory())
      copy_entries(*child, *copy, make);
    else
      child->copy_to(*copy);
    to.entries[name] = to.durable_entries[name] = copy;
  }
}

void list_files(const Inode& directory, const std::string& path, std::vector<std::string>& out) {
  for (const auto& [name, child] : directory.entries) {
    std::string at = path + "/" + name;
    if (child->is_directory())
      list_files(*child, at, out);
    else
      out.push_back(std::move(at));
  }
}

}  // namespace

void Storage::copy_from(const Storage& other) {
  wipe();
  copy_entries(*other.root_, *root_, [this](bool directory) { return make(directory); });
}

std::vector<std::string> Storage::files() const {
  std::vector<std::string> all;
  list_files(*root_, "", all);
  return all;
}

void Storage::wipe() {
  pending_.clear();
  root_ = make(true);
}

}  // namespace argon::sim
