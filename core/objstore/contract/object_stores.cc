// What every object store promises (object_store.h), of every kind, on every world.

#include <algorithm>
#include <cstdlib>

#include "core/env/contract/contract.h"
#include "core/objstore/keys.h"
#include "core/objstore/local_store.h"
#include "core/objstore/model/s3_server.h"
#include "core/objstore/s3_store.h"

namespace argon::contract {
namespace {

using objstore::Listing;
using objstore::ObjectInfo;
using objstore::ObjectStore;
using objstore::PutMode;

struct FolderStores : Contract {};
struct S3Stores : Contract {};

// Another way to the same objects; `owner` is a folder's.
using OpenStore = std::function<Result<std::unique_ptr<ObjectStore>>(const std::string& owner)>;
using Claim = Status (*)(Task& task, const OpenStore& open_store);

Status on_folder(Contract& test, Task& task, Env& env, Claim claim) {
  return claim(task, [&](const std::string& owner) -> Result<std::unique_ptr<ObjectStore>> {
    TRY_ASSIGN(auto store, objstore::LocalStore::open(task, env.disk(), test.path("store"), owner));
    return std::unique_ptr<ObjectStore>(std::move(store));
  });
}

Status on_store(Env& env, Task& task, Claim claim, const objstore::S3Config& config) {
  return claim(task, [&](const std::string&) -> Result<std::unique_ptr<ObjectStore>> {
    TRY_ASSIGN(auto store, objstore::S3Store::open(env, config));
    return std::unique_ptr<ObjectStore>(std::move(store));
  });
}

// A server of somebody else's (daemons/test/s3_test.py), which has the bucket already. Each claim has a
// prefix of its own.
Status on_s3_at(const char* endpoint, Task& task, Env& env, Claim claim) {
  auto variable = [](const char* name) { return std::string(std::getenv(name)); };
  objstore::S3Config config;
  config.endpoint = endpoint;
  config.bucket = variable("ARGON_TEST_S3_BUCKET");
  config.prefix = std::string("contract/") + testing::UnitTest::GetInstance()->current_test_info()->name();
  config.credentials = {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), ""};
  config.part_bytes = 5 << 20;
  config.conditional_put = false;
  return on_store(env, task, claim, config);
}

// S3's protocol to a model of its server, which keeps objects in a folder. Parts are small.
Status on_s3(Contract& test, Task& task, Env& env, Claim claim) {
  if (const char* endpoint = std::getenv("ARGON_TEST_S3_ENDPOINT"))
    return on_s3_at(endpoint, task, env, claim);
  objstore::S3ServerConfig server_config{"bucket", "us-east-1", {"access", "secret", "token"}};
  TRY_ASSIGN(auto folder, objstore::LocalStore::open(task, env.disk(), test.path("store"), "s3"));
  TRY_ASSIGN(auto listener, env.network().listen(task, test.world().any_address()));
  objstore::S3Server server(env, *folder, server_config);
  objstore::S3Config config;
  config.endpoint = "http://" + to_string(listener->address());
  config.bucket = server_config.bucket;
  config.prefix = "some/prefix";
  config.credentials = server_config.credentials;
  config.part_bytes = 1'000'000;
  Scope scope(task);
  scope.spawn("s3", [&](Task& t) -> Status {
    ignore_result(server.serve(t, *listener));
    return {};
  });
  Status held = on_store(env, task, claim, config);
  EXPECT_EQ(server.uploads(), 0u);
  TRY(scope.stop(task));
  return held;
}

// A claim for each kind of store, with `task` and `open_store` at hand.
#define STORE_CONTRACT(claim)                                   \
  static Status claim(Task& task, const OpenStore& open_store); \
  CONTRACT(FolderStores, claim) {                               \
    return on_folder(test, task, env, &claim);                  \
  }                                                             \
  CONTRACT(S3Stores, claim) {                                   \
    return on_s3(test, task, env, &claim);                      \
  }                                                             \
  static Status claim(Task& task, const OpenStore& open_store)

std::vector<std::string> keys_of(const Listing& listing) {
  std::vector<std::string> keys;
  for (const ObjectInfo& object : listing.objects) keys.push_back(object.key);
  return keys;
}

STORE_CONTRACT(GiveBackWhatWasPut) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  Bytes big(3'000'001);
  for (size_t i = 0; i < big.size(); i++) big[i] = static_cast<uint8_t>(i * 13 + i / 77);
  TRY(store->put(task, "a/b/big", big));
  TRY(store->put(task, "a/empty", ByteView()));
  EXPECT_EQ(*store->get(task, "a/b/big"), big);
  EXPECT_TRUE(store->get(task, "a/empty")->empty());
  EXPECT_EQ(store->head(task, "a/b/big")->size, big.size());
  TRY(store->put(task, "a/b/big", as_bytes("replaced")));
  EXPECT_EQ(as_text(*store->get(task, "a/b/big")), "replaced");
  EXPECT_EQ(outcome(store->get(task, "a/b")), "not found");
  EXPECT_EQ(outcome(store->get(task, "nothing")), "not found");
  EXPECT_EQ(outcome(store->head(task, "nothing")), "not found");
  return {};
}

STORE_CONTRACT(KeepObjectsThatGoInParts) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  Bytes big(17'000'001);
  for (size_t i = 0; i < big.size(); i++) big[i] = static_cast<uint8_t>(i * 7 + i / 1001);
  TRY(store->put(task, "big", big));
  EXPECT_EQ(store->head(task, "big")->size, big.size());
  TRY_ASSIGN(Bytes part, store->get(task, "big", {10'000'000, 1'000'000}));
  EXPECT_TRUE(std::ranges::equal(part, ByteView(big).subspan(10'000'000, 1'000'000)));
  TRY_ASSIGN(Bytes whole, store->get(task, "big"));
  EXPECT_TRUE(whole == big);
  return {};
}

// Of its zeros it says so, and must not be asked for them.
class SourceWithHoles final : public objstore::Source {
 public:
  explicit SourceWithHoles(ByteView bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  Status read(Task&, uint64_t offset, ByteSpan into) override {
    if (zeros_from(offset) > 0) return Error(Code::Invalid, "read within a hole");
    std::ranges::copy(bytes_.subspan(offset, into.size()), into.begin());
    return {};
  }
  uint64_t zeros_from(uint64_t offset) const override {
    auto rest = bytes_.subspan(offset);
    auto end = std::ranges::find_if(rest, [](uint8_t b) { return b != 0; });
    return static_cast<uint64_t>(end - rest.begin());
  }

 private:
  ByteView bytes_;
};

STORE_CONTRACT(KeepHolesAsZeros) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  Bytes bytes(5'000'000);
  for (size_t at : {size_t{3}, size_t{1'500'000}, size_t{1'500'001}}) bytes[at] = 7;
  SourceWithHoles source(bytes);
  TRY(store->put(task, "holes", source, PutMode::Replace));
  EXPECT_EQ(*store->get(task, "holes"), bytes);
  EXPECT_EQ(as_text(*store->get(task, "holes", {4'999'998, 9})), std::string_view("\0\0", 2));
  return {};
}

STORE_CONTRACT(GiveRanges) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  TRY(store->put(task, "k", as_bytes("0123456789")));
  EXPECT_EQ(as_text(*store->get(task, "k", {2, 3})), "234");
  EXPECT_EQ(as_text(*store->get(task, "k", {8, 100})), "89");
  EXPECT_TRUE(store->get(task, "k", {10, 1})->empty());
  EXPECT_EQ(outcome(store->get(task, "k", {11, 1})), "invalid");
  return {};
}

STORE_CONTRACT(OneOfManyPutsIfAbsentWins) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  int won = 0;
  std::string winner;
  Scope scope(task);
  for (int i = 0; i < 8; i++) {
    scope.spawn("put", [&, i](Task& t) -> Status {
      std::string text = "writer " + std::to_string(i);
      Status put = store->put(t, "one/key", as_bytes(text), PutMode::IfAbsent);
      EXPECT_TRUE(put.ok() || put.is(Code::AlreadyExists)) << put.error().to_string();
      if (put.ok()) {
        won++;
        winner = text;
      }
      return {};
    });
  }
  TRY(scope.join(task));
  EXPECT_EQ(won, 1);
  EXPECT_EQ(as_text(*store->get(task, "one/key")), winner);
  return {};
}

STORE_CONTRACT(ListInKeyOrderPageByPage) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  std::vector<std::string> keys = {"a-b", "a/b", "a/c/d", "a/c-d", "a0", "b/1", "b/10", "b/2", "c"};
  for (const std::string& key : keys) TRY(store->put(task, key, as_bytes(key)));
  std::sort(keys.begin(), keys.end());
  for (size_t page_size = 1; page_size <= keys.size() + 1; page_size++) {
    std::vector<std::string> seen;
    std::string after;
    while (true) {
      TRY_ASSIGN(Listing page, store->list(task, "", after, page_size));
      EXPECT_LE(page.objects.size(), page_size);
      for (const ObjectInfo& object : page.objects) EXPECT_EQ(object.size, object.key.size());
      for (std::string& key : keys_of(page)) seen.push_back(std::move(key));
      if (!page.next) break;
      after = *page.next;
    }
    EXPECT_EQ(seen, keys);
  }
  using Keys = std::vector<std::string>;
  EXPECT_EQ(keys_of(*store->list(task, "a/", "", 10)), (Keys{"a/b", "a/c-d", "a/c/d"}));
  EXPECT_EQ(keys_of(*store->list(task, "b/1", "", 10)), (Keys{"b/1", "b/10"}));
  EXPECT_EQ(keys_of(*store->list(task, "a/c", "a/c-d", 10)), (Keys{"a/c/d"}));
  EXPECT_EQ(keys_of(*store->list(task, "", "b", 10)), (Keys{"b/1", "b/10", "b/2", "c"}));
  EXPECT_TRUE(store->list(task, "zzz", "", 10)->objects.empty());
  return {};
}

STORE_CONTRACT(ListMoreThanAPage) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  std::vector<std::string> keys;
  for (int i = 100; i < 140; i++) keys.push_back("many/" + std::to_string(i));
  for (const std::string& key : keys) TRY(store->put(task, key, as_bytes(key)));
  std::vector<std::string> seen;
  std::string after;
  for (int pages = 1;; pages++) {
    TRY_ASSIGN(Listing page, store->list(task, "many/1", after, 9));
    for (std::string& key : keys_of(page)) seen.push_back(std::move(key));
    EXPECT_EQ(page.next.has_value(), pages < 5);
    if (!page.next) break;
    after = *page.next;
  }
  EXPECT_EQ(seen, keys);
  return {};
}

STORE_CONTRACT(RemoveManyAndWhatIsNotThere) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  for (int i = 0; i < 30; i++) TRY(store->put(task, "d/" + std::to_string(i), as_bytes("x")));
  std::vector<std::string> some = {"d/3", "d/4", "d/nothing", "nothing/at/all"};
  TRY(store->remove(task, some));
  EXPECT_EQ(outcome(store->get(task, "d/3")), "not found");
  TRY_ASSIGN(size_t removed, objstore::remove_all(task, *store, "d/1"));
  EXPECT_EQ(removed, 11u);
  EXPECT_EQ(objstore::list_all(task, *store, "d/")->size(), 17u);
  return {};
}

STORE_CONTRACT(RefuseKeysOfTheWrongForm) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  for (const char* bad : {"", "../x", "a//b", "a/", ".a"}) {
    EXPECT_EQ(outcome(store->put(task, bad, as_bytes("x"))), "invalid") << bad;
    EXPECT_EQ(outcome(store->get(task, bad)), "invalid") << bad;
  }
  return {};
}

// A bucket does not look.
CONTRACT(FolderStores, RefuseKeysBelowAKey) {
  TRY_ASSIGN(auto store, objstore::LocalStore::open(task, env.disk(), test.path("store"), "owner"));
  TRY(store->put(task, "a", as_bytes("x")));
  EXPECT_EQ(outcome(store->put(task, "a/b", as_bytes("x"))), "invalid");
  return {};
}

STORE_CONTRACT(KeepObjectsWhenOpenedAgain) {
  {
    TRY_ASSIGN(auto store, open_store("owner-1"));
    TRY(store->put(task, "kept", as_bytes("x")));
  }
  TRY_ASSIGN(auto again, open_store("owner-1"));
  TRY_ASSIGN(auto other, open_store("owner-2"));
  EXPECT_EQ(as_text(*again->get(task, "kept")), "x");
  TRY(other->put(task, "theirs", as_bytes("y")));
  EXPECT_EQ(as_text(*again->get(task, "theirs")), "y");
  return {};
}

STORE_CONTRACT(TheLatestGenerationUpToOursIsFound) {
  TRY_ASSIGN(auto store, open_store("owner-1"));
  for (uint32_t g : {1u, 5u, 9u})
    TRY(store->put(task, objstore::with_generation("t/index.json", Generation(g)), as_bytes("x")));
  TRY_ASSIGN(auto found, objstore::find_latest(task, *store, "t/", "index.json", Generation(8)));
  EXPECT_EQ(found.second, Generation(5));
  EXPECT_EQ(outcome(objstore::find_latest(task, *store, "t/", "index.json", Generation(0))), "not found");
  return {};
}

}  // namespace
}  // namespace argon::contract
