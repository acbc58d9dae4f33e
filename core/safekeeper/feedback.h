// What readers report of themselves, and its sum, which the proposer gets with each answer.

#pragma once

#include "core/consensus/messages.h"

namespace argon::safekeeper {

// A position a reader reported, by its feedback.
struct ReaderState {
  consensus::PageserverFeedback pageserver;
  consensus::HotStandbyFeedback standby;
  bool is_pageserver = false;
  Lsn sent;
};

// Of pageservers the one that has received most counts; of standbys the oldest transaction that any needs,
// and apart from that the oldest that any needs of the catalogs (0: none), told when the last of them spoke.
void add_feedback(consensus::AppendResponse& sum, const ReaderState& reader);

}  // namespace argon::safekeeper
