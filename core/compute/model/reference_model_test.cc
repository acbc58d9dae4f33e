#include "core/compute/model/reference_model.h"

#include <gtest/gtest.h>

namespace argon::compute {
namespace {

const pg::RelTag kRel{{1663, 5, 20000}, pg::Fork::Main};
const pg::BlockTag kTag{kRel, 0};
const Bytes kOne(pg::kBlockSize, 1);
const Bytes kTwo(pg::kBlockSize, 2);

ReferenceModel two_versions() {
  ReferenceModel model(Lsn(100));
  EXPECT_TRUE(model.begin_term(Term(1), Lsn(100)).ok());
  model.add(Term(1), {Lsn(150), {}, {{kRel, 0}}, {}});
  model.add(Term(1), {Lsn(200), {{kTag, hash128(kOne)}}, {{kRel, 1}}, {}});
  model.add(Term(1), {Lsn(300), {{kTag, hash128(kTwo)}}, {}, {}});
  return model;
}

TEST(ReferenceModel, KnowsEveryVersion) {
  ReferenceModel model = two_versions();
  EXPECT_EQ(model.blocks_at(kRel, Lsn(149)), std::nullopt);
  EXPECT_EQ(model.blocks_at(kRel, Lsn(199)), 0u);
  EXPECT_EQ(model.blocks_at(kRel, Lsn(200)), 1u);
  EXPECT_TRUE(model.check_page(kTag, Lsn(299), kOne).ok());
  EXPECT_TRUE(model.check_page(kTag, Lsn(300), kTwo).ok());
  EXPECT_FALSE(model.check_page(kTag, Lsn(300), kOne).ok());
  EXPECT_EQ(model.page_changed_at(kTag, Lsn(299)), Lsn(200));
}

TEST(ReferenceModel, ANewTermForgetsWhatItDidNotTakeOver) {
  ReferenceModel model = two_versions();
  EXPECT_TRUE(model.acknowledge(Term(1), 700, Lsn(250)).ok());
  EXPECT_TRUE(model.begin_term(Term(2), Lsn(260)).ok());
  EXPECT_TRUE(model.check_page(kTag, Lsn(300), kOne).ok());
  model.add(Term(1), {Lsn(400), {{kTag, hash128(kTwo)}}, {}, {}});
  EXPECT_EQ(model.end(), Lsn(260));
  EXPECT_TRUE(model.begin_term(Term(1), Lsn(260)).is(Code::Stale));
  EXPECT_TRUE(model.acknowledge(Term(1), 701, Lsn(255)).ok());
  EXPECT_TRUE(model.acknowledge(Term(1), 702, Lsn(280)).is(Code::Corrupt));
}

TEST(ReferenceModel, ATermThatStartsTooLowLostACommit) {
  ReferenceModel model = two_versions();
  EXPECT_TRUE(model.acknowledge(Term(1), 700, Lsn(250)).ok());
  EXPECT_TRUE(model.begin_term(Term(2), Lsn(240)).is(Code::Corrupt));
  EXPECT_TRUE(model.begin_term(Term(3), Lsn(400)).is(Code::Corrupt));
}

TEST(ReferenceModel, ABranchIsItsParentAtThatPoint) {
  ReferenceModel parent = two_versions();
  ReferenceModel branch(parent, Lsn(250));
  EXPECT_TRUE(branch.check_page(kTag, Lsn(900), kOne).ok());
  EXPECT_EQ(branch.blocks_at(kRel, Lsn(250)), 1u);
  EXPECT_EQ(branch.page_changed_at(kTag, Lsn(900)), Lsn(250));
}

TEST(ReferenceModel, KnowsWhichTransactionsEnded) {
  ReferenceModel model(Lsn(100));
  EXPECT_TRUE(model.begin_term(Term(1), Lsn(100)).ok());
  model.add(Term(1), {Lsn(150), {}, {}, {{5, true}}});
  model.add(Term(1), {Lsn(160), {}, {}, {{6, false}, {7, false}}});
  Bytes clog(pg::kBlockSize);
  clog[1] = 1 << 2;
  EXPECT_TRUE(model.check_clog(Lsn(150), clog).ok());
  EXPECT_FALSE(model.check_clog(Lsn(160), clog).ok());
  clog[1] |= 2 << 4 | 2 << 6;
  EXPECT_TRUE(model.check_clog(Lsn(160), clog).ok());
  EXPECT_FALSE(model.check_clog(Lsn(150), clog).ok());
  clog[9] = 1;
  EXPECT_FALSE(model.check_clog(Lsn(160), clog).ok());
}

}  // namespace
}  // namespace argon::compute
