#include "daemons/main/tree.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace argon::cli {
namespace {

using Children = std::map<std::string, std::vector<const TreeNode*>>;

std::string label(const TreeNode& node) {
  return (node.name.empty() ? "(no name)" : node.name) + " [" + node.id + "]" +
         (node.archived ? " archived" : "") + "\n";
}

void draw_below(const Children& children, const std::string& id, const std::string& padding,
                std::string& out) {
  auto at = children.find(id);
  if (at == children.end()) return;
  for (const TreeNode* node : at->second) {
    bool last = node == at->second.back();
    out += "(L) " + padding + (last ? "┗━" : "┣━") + " @" + node->lsn + ": " + label(*node);
    draw_below(children, node->id, padding + (last ? "   " : "┃  "), out);
  }
}

}  // namespace

std::string draw_tree(std::vector<TreeNode> nodes) {
  std::sort(nodes.begin(), nodes.end(), [](const TreeNode& a, const TreeNode& b) {
    return std::tie(a.name, a.id) < std::tie(b.name, b.id);
  });
  std::set<std::string> ids;
  for (const TreeNode& node : nodes) ids.insert(node.id);
  Children children;
  for (const TreeNode& node : nodes)
    children[ids.contains(node.ancestor) ? node.ancestor : ""].push_back(&node);
  std::string out;
  for (const TreeNode* root : children[""]) {
    out += "(L) " + label(*root);
    draw_below(children, root->id, "", out);
  }
  return out;
}

}  // namespace argon::cli
