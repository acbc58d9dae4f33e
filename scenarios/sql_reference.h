// SqlReference: a stock server on plain files that runs the same committed statements, on a machine that no
// fault hits, and compares what it then shows.
//
// It has no pgext, and nothing of Argon: what it shows is right. It follows behind: what is to be compared
// was asked of the other server before.

#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/postgres_compute.h"
#include "scenarios/scenario.h"
#include "sim/machine.h"

namespace argon::scenarios {

struct SqlItem {
  enum class Kind {
    Run,       // of a committed unit
    Ask,       // a question about what is there
    Sequence,  // goes on from where the other is, which may be behind a gap
  };
  Kind kind = Kind::Run;
  std::string text;                 // a line; a sequence's name
  std::optional<std::string> rows;  // what the other server showed
  uint64_t gap = 0;                 // of a sequence, at most
};

// Rows as text, to be compared.
std::string to_text(const SqlRows& rows);

class SqlReference {
 public:
  // Begins with what `history` did.
  SqlReference(Run& run, sim::Machine& machine, std::string name, const std::vector<SqlItem>& history);

  void add(SqlItem item);
  // Everything was run and compared.
  bool idle() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  // with its fiber, which may end later
};

}  // namespace argon::scenarios
