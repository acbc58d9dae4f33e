#include "daemons/main/layer_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace argon::cli {
namespace {

using pageserver::Key;
using pageserver::LayerKind;
using pageserver::LayerName;
using pageserver::TimelineIndex;

constexpr double kLeft = 140, kRight = 220, kTop = 60, kBottom = 40;  // pixels beside the drawing
constexpr double kWidth = 1000, kHeight = 700;                        // of the drawing
constexpr double kImageHeight = 3;
constexpr size_t kLabelsMax = 40;
constexpr std::string_view kStyle =
    "text { font: 11px monospace } line { stroke: #999 } line.mark { stroke: #c00; stroke-dasharray: 4 } "
    "rect { stroke: #333; stroke-width: 0.3 } .l0 { fill: #f2b04c } .l1 { fill: #7fb2e5 } "
    ".image { fill: #2f7d3b }";

// The place of each of its values in their order, from 0 to `length`.
template <typename Value>
class Axis {
 public:
  Axis(std::vector<Value> values, double length) : values_(std::move(values)), length_(length) {
    std::ranges::sort(values_);
    values_.erase(std::ranges::unique(values_).begin(), values_.end());
  }
  double at(const Value& value) const {
    auto rank = std::ranges::lower_bound(values_, value) - values_.begin();
    return length_ * static_cast<double>(rank) / static_cast<double>(std::max<size_t>(values_.size() - 1, 1));
  }
  const std::vector<Value>& values() const { return values_; }

 private:
  std::vector<Value> values_;
  double length_;
};

// Layers end before an LSN; so an image, and a mark, are drawn where those that reach up to it end.
struct Mark {
  const char* what;
  Lsn lsn;
  Lsn end() const { return lsn + 1; }
};

std::vector<Mark> marks_of(const TimelineIndex& index) {
  std::vector<Mark> marks{{"disk-consistent", index.disk_consistent}};
  if (index.gc_cutoff != Lsn(0)) marks.push_back({"GC cutoff", index.gc_cutoff});
  if (index.ancestor_lsn != Lsn(0)) marks.push_back({"branch point", index.ancestor_lsn});
  return marks;
}

Axis<Key> key_axis(const TimelineIndex& index) {
  std::vector<Key> keys{Key::min(), Key::max()};
  for (const TimelineIndex::Layer& layer : index.layers) {
    keys.push_back(layer.name.keys.begin);
    keys.push_back(layer.name.keys.end);
  }
  return {std::move(keys), kWidth};
}

Axis<Lsn> lsn_axis(const TimelineIndex& index) {
  std::vector<Lsn> lsns;
  for (const Mark& mark : marks_of(index)) lsns.push_back(mark.end());
  for (const TimelineIndex::Layer& layer : index.layers) {
    if (layer.name.kind == LayerKind::Delta) lsns.push_back(layer.name.begin);
    lsns.push_back(layer.name.end);
  }
  return {std::move(lsns), kHeight};
}

std::string_view class_of(const LayerName& name) {
  return name.kind == LayerKind::Image ? "image" : is_l0(name) ? "l0" : "l1";
}

std::string title_of(const TimelineIndex::Layer& layer) {
  const LayerName& name = layer.name;
  bool image = name.kind == LayerKind::Image;
  return fmt::format("{}, LSN {}{}, {} to {}, {} bytes, {}", class_of(name), to_string(name.begin),
                     image ? "" : " to " + to_string(name.end), describe(name.keys.begin),
                     describe(name.keys.end), layer.size, pageserver::to_string(name));
}

}  // namespace

std::string draw_layer_map(const TimelineIndex& index) {
  Axis<Key> keys = key_axis(index);
  Axis<Lsn> lsns = lsn_axis(index);
  auto y = [&lsns](Lsn lsn) { return kTop + kHeight - lsns.at(lsn); };
  std::string svg;
  auto out = std::back_inserter(svg);
  fmt::format_to(out, R"(<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}"><style>{}</style>)",
                 kLeft + kWidth + kRight, kTop + kHeight + kBottom, kStyle);
  fmt::format_to(
      out,
      "\n<text x=\"{}\" y=\"20\">tenant {}, timeline {}: {} layers; keys to the right, LSNs upward, "
      "both in their order</text>\n<text x=\"{}\" y=\"36\">orange: deltas over all keys (L0), "
      "blue: deltas by key (L1), green: images</text>\n",
      kLeft, to_string(index.id.tenant), to_string(index.id.timeline), index.layers.size(), kLeft);
  // Images above the deltas that they lie in.
  for (LayerKind kind : {LayerKind::Delta, LayerKind::Image})
    for (const TimelineIndex::Layer& layer : index.layers) {
      const LayerName& name = layer.name;
      if (name.kind != kind) continue;
      double left = keys.at(name.keys.begin), right = keys.at(name.keys.end);
      double bottom = kind == LayerKind::Image ? y(name.end) : y(name.begin);
      double top = kind == LayerKind::Image ? bottom - kImageHeight : y(name.end);
      fmt::format_to(out,
                     "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">"
                     "<title>{}</title></rect>\n",
                     class_of(name), kLeft + left, top, right - left, bottom - top, title_of(layer));
    }
  size_t step = lsns.values().size() / kLabelsMax + 1;
  for (size_t i = 0; i < lsns.values().size(); i += step)
    fmt::format_to(out, "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft - 8,
                   y(lsns.values()[i]) + 4, to_string(lsns.values()[i]));
  for (const Mark& mark : marks_of(index))
    fmt::format_to(out,
                   "<line class=\"mark\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
                   "<text x=\"{}\" y=\"{:.1f}\">{} {}</text>\n",
                   kLeft, kLeft + kWidth, y(mark.end()), y(mark.end()), kLeft + kWidth + 8, y(mark.end()) + 4,
                   mark.what, to_string(mark.lsn));
  svg += "</svg>\n";
  return svg;
}

}  // namespace argon::cli
