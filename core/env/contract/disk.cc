// Files, directories, syncs, free space; and the helpers of core/env/io.h.

#include "core/env/contract/contract.h"

namespace argon::contract {
namespace {

using namespace literals;

struct Files : Contract {};
struct Directories : Contract {};
struct FileHelpers : Contract {};

Result<std::unique_ptr<File>> make(Task& task, Env& env, const std::string& path, std::string_view content) {
  TRY_ASSIGN(std::unique_ptr<File> file, env.disk().open(task, path, OpenMode::CreateOrOpen));
  if (!content.empty()) TRY(write_all_at(task, *file, 0, as_bytes(content)));
  return file;
}

Result<std::string> content(Task& task, Env& env, const std::string& path) {
  TRY_ASSIGN(Bytes bytes, read_file(task, env.disk(), path));
  return std::string(as_text(bytes));
}

CONTRACT(Files, OpeningWhatIsNotThereIsNotFound) {
  EXPECT_TRUE(env.disk().open(task, test.path("none"), OpenMode::Read).is(Code::NotFound));
  EXPECT_TRUE(env.disk().open(task, test.path("none"), OpenMode::ReadWrite).is(Code::NotFound));
  EXPECT_TRUE(env.disk().open(task, test.path("no/file"), OpenMode::Create).is(Code::NotFound));
  return {};
}

CONTRACT(Files, CreateRefusesWhatExists) {
  TRY(env.disk().open(task, test.path("f"), OpenMode::Create));
  EXPECT_TRUE(env.disk().open(task, test.path("f"), OpenMode::Create).is(Code::AlreadyExists));
  return {};
}

CONTRACT(Files, CreateOrOpenKeepsTheContent) {
  TRY(make(task, env, test.path("f"), "kept"));
  TRY(make(task, env, test.path("f"), ""));
  TRY_ASSIGN(std::string got, content(task, env, test.path("f")));
  EXPECT_EQ(got, "kept");
  return {};
}

CONTRACT(Files, ErrorsSayThePathAndCarryErrno) {
  auto opened = env.disk().open(task, test.path("none"), OpenMode::Read);
  EXPECT_NE(opened.error().message().find("none"), std::string::npos) << opened.error().message();
  EXPECT_NE(opened.error().os_error(), 0);
  return {};
}

CONTRACT(Files, ADirectoryIsNoFile) {
  EXPECT_FALSE(env.disk().open(task, test.world().directory(), OpenMode::Read).ok());
  return {};
}

CONTRACT(Files, WhatWasWrittenIsRead) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "hello world"));
  Bytes got(5);
  TRY(read_exact_at(task, *file, 6, got));
  EXPECT_EQ(as_text(got), "world");
  TRY_ASSIGN(uint64_t size, file->size(task));
  EXPECT_EQ(size, 11u);
  return {};
}

CONTRACT(Files, ReadingAtOrBeyondTheEndGivesNothing) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "abc"));
  Bytes got(5);
  TRY_ASSIGN(size_t at_end, file->read_at(task, 3, got));
  TRY_ASSIGN(size_t beyond, file->read_at(task, 1'000'000, got));
  EXPECT_EQ(at_end + beyond, 0u);
  TRY_ASSIGN(size_t part, file->read_at(task, 1, got));
  EXPECT_GE(part, 1u);
  EXPECT_LE(part, 2u);
  return {};
}

CONTRACT(Files, OverwritingChangesOnlyWhatIsGiven) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "aaaaaaaa"));
  TRY(write_all_at(task, *file, 2, as_bytes("bbb")));
  TRY_ASSIGN(std::string got, content(task, env, test.path("f")));
  EXPECT_EQ(got, "aabbbaaa");
  return {};
}

CONTRACT(Files, AWriteBeyondTheEndLeavesZeros) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "x"));
  TRY(write_all_at(task, *file, 10'000, as_bytes("y")));
  TRY_ASSIGN(std::string got, content(task, env, test.path("f")));
  EXPECT_EQ(got.size(), 10'001u);
  EXPECT_EQ(got.find_first_not_of('\0', 1), 10'000u);
  return {};
}

CONTRACT(Files, TruncateCutsAndExtendsWithZeros) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "abcdef"));
  TRY(file->truncate(task, 3));
  TRY_ASSIGN(std::string cut, content(task, env, test.path("f")));
  EXPECT_EQ(cut, "abc");
  TRY(file->truncate(task, 6));
  TRY_ASSIGN(std::string longer, content(task, env, test.path("f")));
  EXPECT_EQ(longer, std::string("abc\0\0\0", 6));
  return {};
}

CONTRACT(Files, LargeOnesAreWholeInAnyPieces) {
  TRY_ASSIGN(std::unique_ptr<File> file, env.disk().open(task, test.path("f"), OpenMode::Create));
  Bytes data(700'001);
  env.random("contract.disk").fill(data);
  TRY(write_all_at(task, *file, 0, data));
  Bytes got(data.size());
  size_t at = 0;
  for (size_t piece = 1; at < got.size(); piece = piece * 3 + 1) {
    size_t n = std::min(piece, got.size() - at);
    TRY(read_exact_at(task, *file, at, ByteSpan(got).subspan(at, n)));
    at += n;
  }
  EXPECT_TRUE(got == data);
  return {};
}

CONTRACT(Files, TwoHandlesSeeEachOther) {
  TRY_ASSIGN(std::unique_ptr<File> one, make(task, env, test.path("f"), "aaaa"));
  TRY_ASSIGN(std::unique_ptr<File> two, env.disk().open(task, test.path("f"), OpenMode::Read));
  TRY(write_all_at(task, *one, 0, as_bytes("bb")));
  Bytes got(4);
  TRY(read_exact_at(task, *two, 0, got));
  EXPECT_EQ(as_text(got), "bbaa");
  return {};
}

CONTRACT(Files, OperationsOfManyTasksOverlap) {
  TRY_ASSIGN(std::unique_ptr<File> file, env.disk().open(task, test.path("f"), OpenMode::Create));
  Scope scope(task);
  for (uint64_t i = 0; i < 20; i++)
    scope.spawn("writer", [&, i](Task& t) -> Status {
      Bytes block(8192, static_cast<uint8_t>(i));
      TRY(write_all_at(t, *file, i * 8192, block));
      TRY(file->fdatasync(t));
      Bytes got(8192);
      TRY(read_exact_at(t, *file, i * 8192, got));
      EXPECT_TRUE(got == block);
      return {};
    });
  TRY(scope.join(task));
  TRY_ASSIGN(uint64_t size, file->size(task));
  EXPECT_EQ(size, 20u * 8192);
  return {};
}

CONTRACT(Files, SyncedContentIsThereInTheNextRun) {
  {
    TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "durable"));
    TRY(file->fdatasync(task));
  }
  TRY(env.disk().sync_dir(task, test.world().directory()));
  TRY_ASSIGN(std::string got, content(task, env, test.path("f")));
  EXPECT_EQ(got, "durable");
  return {};
}

CONTRACT(Files, RemovedWhileOpenCanStillBeRead) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "ghost"));
  TRY(env.disk().unlink(task, test.path("f")));
  EXPECT_TRUE(env.disk().stat(task, test.path("f")).is(Code::NotFound));
  Bytes got(5);
  TRY(read_exact_at(task, *file, 0, got));
  EXPECT_EQ(as_text(got), "ghost");
  return {};
}

CONTRACT(Files, RenameReplacesTheTarget) {
  TRY(make(task, env, test.path("new"), "new"));
  TRY(make(task, env, test.path("old"), "old"));
  TRY(env.disk().rename(task, test.path("new"), test.path("old")));
  EXPECT_TRUE(env.disk().stat(task, test.path("new")).is(Code::NotFound));
  TRY_ASSIGN(std::string got, content(task, env, test.path("old")));
  EXPECT_EQ(got, "new");
  return env.disk().sync_dir(task, test.world().directory());
}

CONTRACT(Files, AnOpenFileFollowsItsRename) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("a"), "1234"));
  TRY(env.disk().rename(task, test.path("a"), test.path("b")));
  TRY(write_all_at(task, *file, 0, as_bytes("56")));
  TRY_ASSIGN(std::string got, content(task, env, test.path("b")));
  EXPECT_EQ(got, "5634");
  return {};
}

CONTRACT(Files, RenamingWhatIsNotThereIsNotFound) {
  EXPECT_TRUE(env.disk().rename(task, test.path("none"), test.path("b")).is(Code::NotFound));
  return {};
}

CONTRACT(Files, RemovingWhatIsNotThereIsNotFound) {
  EXPECT_TRUE(env.disk().unlink(task, test.path("none")).is(Code::NotFound));
  return {};
}

CONTRACT(Files, StatTellsSizeAndKind) {
  TRY(make(task, env, test.path("f"), "12345"));
  TRY_ASSIGN(FileInfo file, env.disk().stat(task, test.path("f")));
  EXPECT_EQ(file.size, 5u);
  EXPECT_FALSE(file.is_directory);
  TRY_ASSIGN(FileInfo directory, env.disk().stat(task, test.world().directory()));
  EXPECT_TRUE(directory.is_directory);
  EXPECT_TRUE(env.disk().stat(task, test.path("f/below")).is(Code::NotFound));
  return {};
}

CONTRACT(Directories, AreMadeListedAndRemoved) {
  std::string dir = test.path("d");
  TRY(env.disk().make_dir(task, dir));
  EXPECT_TRUE(env.disk().make_dir(task, dir).is(Code::AlreadyExists));
  TRY_ASSIGN(auto empty, env.disk().list(task, dir));
  EXPECT_TRUE(empty.empty());
  TRY(env.disk().remove_dir(task, dir));
  EXPECT_TRUE(env.disk().list(task, dir).is(Code::NotFound));
  return {};
}

CONTRACT(Directories, ListsAreSortedAndTellTheKind) {
  for (std::string_view name : {"b", "a", "10", "9", "Z"}) TRY(make(task, env, test.path(name), "x"));
  TRY(env.disk().make_dir(task, test.path("m")));
  TRY_ASSIGN(auto entries, env.disk().list(task, test.world().directory()));
  std::vector<DirEntry> wanted{{"10", false}, {"9", false}, {"Z", false},
                               {"a", false},  {"b", false}, {"m", true}};
  EXPECT_EQ(entries, wanted);
  return {};
}

CONTRACT(Directories, NeedTheirParent) {
  EXPECT_TRUE(env.disk().make_dir(task, test.path("a/b")).is(Code::NotFound));
  return {};
}

CONTRACT(Directories, AFullOneIsNotRemoved) {
  TRY(env.disk().make_dir(task, test.path("d")));
  TRY(make(task, env, test.path("d/f"), "x"));
  EXPECT_FALSE(env.disk().remove_dir(task, test.path("d")).ok());
  TRY(env.disk().unlink(task, test.path("d/f")));
  return env.disk().remove_dir(task, test.path("d"));
}

CONTRACT(Directories, UnlinkRefusesADirectory) {
  TRY(env.disk().make_dir(task, test.path("d")));
  EXPECT_FALSE(env.disk().unlink(task, test.path("d")).ok());
  TRY_ASSIGN(FileInfo info, env.disk().stat(task, test.path("d")));
  EXPECT_TRUE(info.is_directory);
  return {};
}

CONTRACT(Directories, RenameCarriesWhatIsBelow) {
  TRY(env.disk().make_dir(task, test.path("d")));
  TRY(make(task, env, test.path("d/f"), "deep"));
  TRY(env.disk().rename(task, test.path("d"), test.path("e")));
  TRY_ASSIGN(std::string got, content(task, env, test.path("e/f")));
  EXPECT_EQ(got, "deep");
  EXPECT_TRUE(env.disk().stat(task, test.path("d")).is(Code::NotFound));
  return {};
}

CONTRACT(Directories, SyncNeedsTheDirectory) {
  TRY(env.disk().sync_dir(task, test.world().directory()));
  EXPECT_TRUE(env.disk().sync_dir(task, test.path("none")).is(Code::NotFound));
  return {};
}

CONTRACT(Directories, TellTheSpaceLeft) {
  TRY_ASSIGN(SpaceInfo space, env.disk().space(task, test.world().directory()));
  EXPECT_GT(space.total, 0u);
  EXPECT_LE(space.available, space.total);
  return {};
}

CONTRACT(FileHelpers, WriteDurablyMakesAndReplaces) {
  for (std::string_view text : {"one", "two, and longer", ""}) {
    TRY(write_file_durably(task, env.disk(), test.path("f"), as_bytes(text)));
    TRY_ASSIGN(std::string got, content(task, env, test.path("f")));
    EXPECT_EQ(got, text);
  }
  TRY_ASSIGN(auto entries, env.disk().list(task, test.world().directory()));
  EXPECT_EQ(entries.size(), 1u);
  return {};
}

CONTRACT(FileHelpers, ATemporaryFileLeftBehindStopsNobody) {
  TRY(make(task, env, test.path("f.tmp"), "left over"));
  TRY(write_file_durably(task, env.disk(), test.path("f"), as_bytes("new")));
  TRY_ASSIGN(std::string got, content(task, env, test.path("f")));
  EXPECT_EQ(got, "new");
  return {};
}

CONTRACT(FileHelpers, ReadFileRefusesWhatIsTooLong) {
  TRY(make(task, env, test.path("f"), "123456"));
  EXPECT_TRUE(read_file(task, env.disk(), test.path("f"), 5).is(Code::Unsupported));
  return {};
}

CONTRACT(FileHelpers, ReadExactSaysWhereTheFileEnds) {
  TRY_ASSIGN(std::unique_ptr<File> file, make(task, env, test.path("f"), "abc"));
  Bytes got(5);
  EXPECT_TRUE(read_exact_at(task, *file, 0, got).is(Code::Corrupt));
  return {};
}

CONTRACT(FileHelpers, MakeDirsMakesParentsAndAcceptsWhatIsThere) {
  TRY(make_dirs(task, env.disk(), test.path("a/b/c")));
  TRY(make_dirs(task, env.disk(), test.path("a/b/c")));
  TRY(make(task, env, test.path("a/f"), "x"));
  EXPECT_TRUE(make_dirs(task, env.disk(), test.path("a/f")).is(Code::AlreadyExists));
  return {};
}

CONTRACT(FileHelpers, RemoveTreeTakesEverythingBelow) {
  TRY(make_dirs(task, env.disk(), test.path("a/b/c")));
  TRY(make(task, env, test.path("a/b/f"), "x"));
  TRY(remove_tree(task, env.disk(), test.path("a")));
  EXPECT_TRUE(env.disk().stat(task, test.path("a")).is(Code::NotFound));
  return remove_tree(task, env.disk(), test.path("a"));
}

}  // namespace
}  // namespace argon::contract
