#include "scenarios/tail_damage.h"

#include "core/base/checksum.h"
#include "core/objstore/keys.h"
#include "core/safekeeper/control_file.h"

namespace argon::scenarios {
namespace {

using namespace argon::literals;

// Of the timeline, as the control file on this machine's disk says.
std::optional<safekeeper::EvictedTail> evicted_tail(sim::Machine& machine) {
  auto file =
      machine.storage().find(WalCluster::timeline_folder() + "/" + std::string(safekeeper::kControlFileName));
  if (file == nullptr) return {};
  Bytes bytes(file->size());
  file->read(0, bytes);
  auto control = safekeeper::decode_control(bytes);
  return control.ok() ? control->evicted : std::nullopt;
}

bool holds(const sim::Blob& object, const safekeeper::EvictedTail& tail) {
  if (object.size() < tail.size) return false;
  Bytes bytes = object.bytes();
  return crc32c(ByteView(bytes).first(tail.size)) == tail.crc;
}

// Of the segment's other objects.
bool another_holds(const sim::Bucket& store, const safekeeper::EvictedTail& tail) {
  std::string segment = tail.key.substr(0, tail.key.find('_'));
  for (auto at = store.objects().lower_bound(segment); at != store.objects().end(); ++at) {
    if (!at->first.starts_with(segment)) return false;
    if (at->first != tail.key && holds(*at->second, tail)) return true;
  }
  return false;
}

std::optional<Bytes> damaged(const sim::Blob& object, Random& random) {
  Bytes bytes = object.bytes();
  switch (random.below(3)) {
    case 0:
      return {};
    case 1:
      bytes.resize(random.below(bytes.size()));
      return bytes;
    default:
      bytes[random.below(bytes.size())] ^= static_cast<uint8_t>(1u << random.below(8));
      return bytes;
  }
}

}  // namespace

Status damage_tails(Task& task, Run& run, WalCluster& cluster) {
  Random& random = task.env().random("tail damage");
  MonotonicTime end = task.env().now() + run.options().length;
  while (task.env().now() < end) {
    TRY(task.sleep(random.between(50_ms, 2_s)));
    sim::Machine& machine = *cluster.safekeepers()[random.below(cluster.safekeepers().size())];
    std::optional<safekeeper::EvictedTail> tail = evicted_tail(machine);
    const sim::Blob* object = tail ? cluster.store().find(tail->key) : nullptr;
    if (object == nullptr || !holds(*object, *tail) || !another_holds(cluster.store(), *tail)) continue;
    cluster.store().spoil(tail->key, damaged(*object, random));
  }
  return {};
}

}  // namespace argon::scenarios
