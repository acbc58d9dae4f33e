// The tree that `timeline list` draws.

#pragma once

#include <string>
#include <vector>

namespace argon::cli {

struct TreeNode {
  std::string id;
  std::string ancestor;  // its id; empty for a root
  std::string lsn;       // of the branch point
  std::string name;      // empty: it has none
  bool archived = false;
};

// Roots and children by name. "(L) main [id]", and below it "(L) ┗━ @0/16F9A00: branch [id]". A node
// whose ancestor is not in the list is drawn as a root.
std::string draw_tree(std::vector<TreeNode> nodes);

}  // namespace argon::cli
