// Explorer: all schedules of a small world (model_world.h), breadth first, up to a depth.
//
// Every state that can be reached within `depth` actions is visited once; the invariants are checked on every
// step. States are told apart by 64 bits of hash: among n states about n*n/2^65 are taken for others (less
// than one in 10,000 runs of 60 million). A state in waiting is a way from an earlier world that is kept, 16
// bytes; the worlds that ways begin at are replaced every few levels.
//
// No clock: `stop` is asked now and then, and says when there is no more time.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/consensus/model_world.h"

namespace argon::consensus::model {

struct ExploreLimits {
  int depth = 1'000;
  size_t states = SIZE_MAX;
  size_t worlds_kept = 400'000;  // some 4 KB each
  std::function<bool()> stop;
};

struct Explored {
  size_t states = 0;       // distinct, the first one included
  size_t transitions = 0;  // steps made, each checked
  int depth = 0;           // every state within so many actions was visited
  bool exhausted = false;  // there are no further states at all
  size_t elections_most = 0;
  size_t truncations = 0;  // steps after which some acceptor had cut WAL
  Lsn committed_most = kBase;
  std::string broken;         // the claim, or empty
  std::vector<Action> trace;  // that broke it, from the first world on
};

Explored explore(const World& first, const ExploreLimits& limits);

// A world to begin with, unless a claim was broken on the way there already.
struct Start {
  World world;
  std::string broken;
};
// Its name, and how deep it is exhausted unless told otherwise.
struct Opening {
  std::string name;
  std::string what;
  int depth;
  int short_depth;  // in seconds, for tests
  Start (*make)();
};
// Two proposers, three acceptors, three entries, one election more than proposers; and two faults among: a
// message lost or repeated, a connection that ends on both sides or on one, a crash, also between two
// effects. From "joining" on a fourth acceptor replaces one of the three, and there is one fault.
const std::vector<Opening>& openings();

}  // namespace argon::consensus::model
