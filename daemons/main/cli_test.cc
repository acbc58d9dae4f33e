// Parts of the command that need no cluster: configuration, state, the tree, tables, ports.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "core/env/io.h"
#include "core/objstore/local_store.h"
#include "daemons/main/commands.h"
#include "daemons/main/files.h"
#include "daemons/main/layer_map.h"
#include "daemons/main/object_store.h"
#include "daemons/main/ports.h"
#include "daemons/main/store_disk.h"
#include "daemons/main/tree.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon::cli {
namespace {

using testing::HasSubstr;

class CliFiles : public testing::Test {
 protected:
  CliFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "argon-cli-XXXXXX").string();
    dir_ = mkdtemp(name.data());
    config_.dir = dir_;
    config_.broker_listen = Address::tcp("127.0.0.1", 50051);
    config_.broker_http = Address::tcp("127.0.0.1", 50052);
    config_.proxy_listen = Address::tcp("127.0.0.1", 4432);
    config_.proxy_http = Address::tcp("127.0.0.1", 7000);
    config_.pageserver_pg = Address::tcp("127.0.0.1", 64000);
    config_.pageserver_http = Address::tcp("127.0.0.1", 9898);
    config_.safekeepers.push_back({1, Address::tcp("127.0.0.1", 5454), Address::tcp("127.0.0.1", 7676)});
  }
  ~CliFiles() override { std::filesystem::remove_all(dir_); }

  Result<Config> load(const std::string& text) {
    Status written = write_text(dir_ + "/argon.toml", text);
    EXPECT_TRUE(written.ok());
    return load_config(dir_);
  }
  std::string refusal(const std::string& text) {
    Result<Config> config = load(text);
    return config.ok() ? "accepted" : config.error().message();
  }

  std::string dir_;
  Config config_;
};

TEST_F(CliFiles, WhatInitWritesIsReadBack) {
  Result<Config> read = load(config_text(config_));
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->broker_listen, config_.broker_listen);
  EXPECT_EQ(read->pageserver_http, config_.pageserver_http);
  ASSERT_EQ(read->safekeepers.size(), 1u);
  EXPECT_EQ(read->safekeepers[0].listen_pg, config_.safekeepers[0].listen_pg);
  EXPECT_EQ(read->postgres_bin, config_.postgres_bin);
  EXPECT_EQ(config_text(*read), config_text(config_));
}

TEST_F(CliFiles, AnObjectStoreIsAFolderOrABucket) {
  EXPECT_TRUE(parse_object_store("s3://bucket/a/b/", config_).ok());
  config_.s3->endpoint = "http://127.0.0.1:9000";
  config_.s3->access_key = "access";
  config_.s3->secret_key = "secret";
  config_.s3->conditional_put = false;
  Result<Config> read = load(config_text(config_));
  ASSERT_TRUE(read.ok()) << read.error().message();
  ASSERT_TRUE(read->s3);
  EXPECT_EQ(read->s3->bucket, "bucket");
  EXPECT_EQ(read->s3->prefix, "a/b");
  EXPECT_EQ(config_text(*read), config_text(config_));
  std::string good = config_text(config_);
  auto without = [&](const std::string& key, const std::string& with) {
    std::string text = good;
    size_t at = text.find("\n" + key) + 1;
    return text.replace(at, text.find('\n', at) - at, with);
  };
  EXPECT_THAT(refusal(without("s3_bucket", "")), HasSubstr("s3_bucket is missing"));
  EXPECT_THAT(refusal(without("s3_endpoint", "")), HasSubstr("s3_endpoint is missing"));
  EXPECT_THAT(refusal(without("s3_region", "path = \"x\"")), HasSubstr("it is one or the other"));
  EXPECT_THAT(refusal(without("s3_secret_key", "")), HasSubstr("given together"));
  EXPECT_THAT(refusal(without("s3_conditional_put", "s3_conditional_put = 1")),
              HasSubstr("neither true nor false"));
  for (const char* bad : {"", "http://host/bucket", "s3://", "s3:///a"})
    EXPECT_FALSE(parse_object_store(bad, config_).ok()) << bad;
}

TEST_F(CliFiles, MistakesInTheConfigurationAreNamed) {
  std::string good = config_text(config_);
  EXPECT_THAT(refusal("version = 2\n"), HasSubstr("version is not 1"));
  EXPECT_THAT(refusal(good + "\n[pageserv]\n"), HasSubstr("pageserv is not a known section"));
  EXPECT_THAT(refusal(good + "colour = 3\n"), HasSubstr("endpoints.colour is not a known key"));
  EXPECT_THAT(refusal(good + "= 3\n"), HasSubstr("argon.toml:"));
  std::string bad = good;
  bad.replace(bad.find("127.0.0.1:50051"), 15, "127.0.0.1");
  EXPECT_THAT(refusal(bad), HasSubstr("broker.listen '127.0.0.1' is not an address"));
}

TEST_F(CliFiles, TlsOfTheProxyIsWholeOrNotThere) {
  std::string good = config_text(config_);
  auto with = [&](const std::string& lines) {
    std::string text = good;
    return text.insert(text.find("[proxy]\n") + 8, lines);
  };
  Result<Config> read = load(with("tls_cert = \"a.crt\"\ntls_key = \"/b.key\"\ntls_required = true\n"));
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->resolve(read->proxy_tls_cert), dir_ + "/a.crt");
  EXPECT_EQ(read->resolve(read->proxy_tls_key), "/b.key");
  EXPECT_TRUE(read->proxy_tls_required);
  EXPECT_THAT(refusal(with("tls_cert = \"a.crt\"\n")), HasSubstr("proxy.tls_key is missing"));
  EXPECT_THAT(refusal(with("tls_key = \"a.key\"\n")), HasSubstr("proxy.tls_cert is missing"));
  EXPECT_THAT(refusal(with("tls_required = true\n")), HasSubstr("proxy.tls_required needs tls_cert"));
  EXPECT_THAT(refusal(with("tls_required = 1\n")), HasSubstr("proxy.tls_required is neither true nor false"));
}

TEST_F(CliFiles, NoClusterSaysWhatToDo) {
  EXPECT_THAT(load_config(dir_).error().message(), HasSubstr("run `argon init` first"));
}

TEST_F(CliFiles, StateIsReadBack) {
  State state;
  TenantId tenant = *parse_tenant_id("9ef87a5bf0d92544f6fafeeb3239695c");
  state.tenants[tenant].branches["main"] = *parse_timeline_id("de200bd42b49cc1814412c7e592dd6e9");
  state.default_tenant = tenant;
  ASSERT_TRUE(save_state(config_, state).ok());
  Result<State> read = load_state(config_);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->default_tenant, tenant);
  EXPECT_TRUE(read->branch(tenant, "main").ok());
  EXPECT_THAT(read->branch(tenant, "other").error().message(), HasSubstr("(there are: main)"));
  EXPECT_EQ(read->branch_name(tenant, *read->branch(tenant, "main")), "main");
}

TEST_F(CliFiles, DamagedStateIsRefused) {
  for (const char* text :
       {"", "{", "[]", "{\"version\": 2}", "{\"version\": 1}", "{\"version\":1,\"tenants\":{\"x\":{}}}"}) {
    ASSERT_TRUE(write_text(config_.path("state.json"), text).ok());
    EXPECT_FALSE(load_state(config_).ok()) << text;
  }
}

TEST_F(CliFiles, EndpointsAreReadBack) {
  Endpoint endpoint;
  endpoint.name = "e";
  endpoint.branch = "main";
  endpoint.mode = compute::EndpointMode::Static;
  endpoint.static_lsn = Lsn(0x16F9A00);
  endpoint.listen = Address::tcp("127.0.0.1", 55432);
  endpoint.listen_http = Address::tcp("127.0.0.1", 56432);
  endpoint.system_id = UINT64_MAX;
  endpoint.settings = {"work_mem = 8MB"};
  ASSERT_TRUE(make_folders(config_.endpoint_dir("e")).ok());
  ASSERT_TRUE(save_endpoint(config_, endpoint).ok());
  Result<Endpoint> read = load_endpoint(config_, "e");
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->static_lsn, endpoint.static_lsn);
  EXPECT_EQ(read->system_id, endpoint.system_id);
  EXPECT_EQ(read->settings, endpoint.settings);
  EXPECT_EQ(endpoint_status(config_, *read), "stopped");
  EXPECT_THAT(load_endpoint(config_, "f").error().message(),
              HasSubstr("there is no endpoint 'f' (there are: e)"));
  EXPECT_FALSE(load_endpoint(config_, "../e").ok());
}

// More objects than a page of a list has, in a folder that is passed over at once.
TEST_F(CliFiles, AnObjectStoreIsSeenAsFilesThatAreOnlyRead) {
  posix::LogFile log("cli_test", "", LogLevel::Warn, posix::read_wall_clock);
  posix::PosixEnv env(log, posix::PosixOptions());
  Status done = env.run("test", [&](Task& task) -> Status {
    TRY_ASSIGN(auto store, objstore::LocalStore::open(task, env.disk(), dir_ + "/store", "test"));
    for (size_t i = 0; i < objstore::kPageMax + 2; i++)
      TRY(store->put(task, "a/b/" + std::to_string(i), ByteView()));
    TRY(store->put(task, "a/b-c", as_bytes("text")));
    TRY(store->put(task, "a/z/1", as_bytes("other")));
    StoreDisk disk(*store, "s3://bucket");
    TRY_ASSIGN(std::vector<DirEntry> entries, disk.list(task, "s3://bucket/a"));
    EXPECT_EQ(entries, (std::vector<DirEntry>{{"b", true}, {"b-c", false}, {"z", true}}));
    TRY_ASSIGN(std::vector<DirEntry> many, disk.list(task, "s3://bucket/a/b"));
    EXPECT_EQ(many.size(), objstore::kPageMax + 2);
    EXPECT_TRUE(disk.list(task, "s3://bucket/b").is(Code::NotFound));
    TRY_ASSIGN(Bytes text, read_file(task, disk, "s3://bucket/a/b-c"));
    EXPECT_EQ(as_text(text), "text");
    TRY_ASSIGN(FileInfo folder, disk.stat(task, "s3://bucket/a/z"));
    EXPECT_TRUE(folder.is_directory);
    EXPECT_TRUE(read_file(task, disk, "s3://other/a/b-c").is(Code::Invalid));
    EXPECT_TRUE(disk.unlink(task, "s3://bucket/a/b-c").is(Code::Unsupported));
    EXPECT_TRUE(disk.open(task, "s3://bucket/a/b-c", OpenMode::ReadWrite).is(Code::Unsupported));
    return {};
  });
  EXPECT_TRUE(done.ok()) << done.error().to_string();
}

TEST(Tree, IsDrawnWithBranchPoints) {
  std::string drawn = draw_tree({{"1", "", "", "main"},
                                 {"2", "1", "0/16F9A00", "migration_check"},
                                 {"3", "1", "0/20", "a"},
                                 {"4", "3", "0/30", "deep"},
                                 {"5", "3", "0/40", "deeper"}});
  EXPECT_EQ(drawn,
            "(L) main [1]\n"
            "(L) ┣━ @0/20: a [3]\n"
            "(L) ┃  ┣━ @0/30: deep [4]\n"
            "(L) ┃  ┗━ @0/40: deeper [5]\n"
            "(L) ┗━ @0/16F9A00: migration_check [2]\n");
}

TEST(LayerMap, PlacesAreInOrderAndEveryLayerIsDrawn) {
  using namespace pageserver;
  Key middle{0, 1663, 5, 16384, 0, 100};
  KeyRange low{Key::min(), middle};
  TimelineIndex index;
  index.disk_consistent = Lsn(0x30);
  index.gc_cutoff = Lsn(0x10);
  index.layers = {{{LayerKind::Delta, KeyRange::all(), Lsn(0x21), Lsn(0x31), 1, Generation(1)}, 8192},
                  {{LayerKind::Delta, low, Lsn(0x11), Lsn(0x21), 2, Generation(1)}, 8192},
                  {{LayerKind::Image, KeyRange::all(), Lsn(0x10), Lsn(0x11), 3, Generation(1)}, 16384}};
  std::string svg = draw_layer_map(index);
  // Two steps upward, two to the right, and an image as a line on the first.
  EXPECT_THAT(svg, HasSubstr(R"(<rect class="l0" x="140.0" y="60.0" width="1000.0" height="350.0">)"));
  EXPECT_THAT(svg, HasSubstr(R"(<rect class="l1" x="140.0" y="410.0" width="500.0" height="350.0">)"));
  EXPECT_THAT(svg, HasSubstr(R"(<rect class="image" x="140.0" y="757.0" width="1000.0" height="3.0">)"));
  EXPECT_THAT(svg, HasSubstr("block 100 of 1663/5/16384"));
  EXPECT_THAT(svg, HasSubstr("GC cutoff 0/10"));
  index.layers.clear();
  EXPECT_THAT(draw_layer_map(index), HasSubstr("0 layers"));
}

TEST(Tables, AlignTheirColumns) {
  EXPECT_EQ(table({{"A", "LONG", "C"}, {"aaa", "b", "c"}}), " A    LONG  C\n aaa  b     c\n");
}

TEST(Ports, TheNextFreeOneIsChosen) {
  PortChooser ports("127.0.0.1");
  uint16_t first = *ports.choose(42'000);
  uint16_t second = *ports.choose(42'000);
  EXPECT_GT(second, first);
  ports.reserve(static_cast<uint16_t>(second + 1));
  EXPECT_GT(*ports.choose(42'000), second + 1);
}

TEST(Durations, AreRead) {
  EXPECT_EQ(parse_duration("10s")->ns, Duration::seconds(10).ns);
  EXPECT_EQ(parse_duration("500ms")->ns, Duration::milliseconds(500).ns);
  EXPECT_EQ(parse_duration("2m")->ns, Duration::seconds(120).ns);
  EXPECT_EQ(parse_duration("3")->ns, Duration::seconds(3).ns);
  for (const char* bad : {"", "s", "1h", "-1s", "1.5s", "99999999999999999999s"})
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
}

}  // namespace
}  // namespace argon::cli
