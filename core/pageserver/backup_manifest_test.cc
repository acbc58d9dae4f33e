#include "core/pageserver/backup_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/random.h"

namespace argon::pageserver {
namespace {

Bytes archive() {
  Bytes out;
  pg::TarWriter tar(
      [&](ByteView bytes) -> Status {
        append(out, bytes);
        return {};
      },
      1'700'000'000);
  Bytes page(8192 + 100);
  Random(7).fill(page);
  EXPECT_TRUE(tar.directory("base").ok());
  EXPECT_TRUE(tar.file("base/empty", {}).ok());
  EXPECT_TRUE(tar.file("base/check", as_bytes("123456789")).ok());
  EXPECT_TRUE(tar.file("pg_wal/000000010000000000000001", page).ok());
  EXPECT_TRUE(tar.symlink("pg_tblspc/1", "/elsewhere").ok());
  EXPECT_TRUE(tar.file("global/pg_control", page).ok());
  EXPECT_TRUE(tar.finish().ok());
  return out;
}

std::string manifest_of(const Bytes& archive, bool checksums, size_t piece) {
  BackupManifest manifest(checksums);
  for (size_t at = 0; at < archive.size(); at += piece)
    EXPECT_TRUE(manifest.add(ByteView(archive).subspan(at, std::min(piece, archive.size() - at))).ok());
  return manifest.finish(Lsn(0x1500028), Lsn(0x15000A0));
}

TEST(BackupManifest, NamesEveryFileButWal) {
  std::string text = manifest_of(archive(), true, 1000);
  auto parsed = nlohmann::json::parse(text);
  std::vector<std::string> paths;
  for (const auto& file : parsed["Files"]) paths.push_back(file["Path"]);
  EXPECT_THAT(paths, testing::ElementsAre("base/empty", "base/check", "global/pg_control"));
  EXPECT_EQ(parsed["Files"][0]["Size"], 0);
  EXPECT_EQ(parsed["Files"][0]["Last-Modified"], "2023-11-14 22:13:20 GMT");
  // CRC-32C of "123456789" is E3069283, here in the order of its bytes.
  EXPECT_EQ(parsed["Files"][1]["Checksum"], "839206e3");
  EXPECT_EQ(parsed["WAL-Ranges"][0]["Start-LSN"], "0/1500028");
  EXPECT_EQ(parsed["Manifest-Checksum"].get<std::string>().size(), 64u);
}

TEST(BackupManifest, IsTheSameInAllPieces) {
  Bytes bytes = archive();
  std::string whole = manifest_of(bytes, true, bytes.size());
  for (size_t piece : {1, 511, 512, 513, 5000}) EXPECT_EQ(manifest_of(bytes, true, piece), whole) << piece;
  std::string bare = manifest_of(bytes, false, 512);
  EXPECT_EQ(bare.find("\"Checksum\""), std::string::npos);
  EXPECT_NE(bare, whole);
}

}  // namespace
}  // namespace argon::pageserver
