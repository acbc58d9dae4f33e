#include "core/base/metrics.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace argon {

struct Metrics::Family {
  std::string kind;
  std::string help;
  // One of the three maps is in use; `asked` belongs to gauges.
  std::map<Labels, std::unique_ptr<Counter>> counters;
  std::map<Labels, std::unique_ptr<Gauge>> gauges;
  std::map<Labels, std::unique_ptr<Histogram>> histograms;
  std::map<Labels, std::function<int64_t()>> asked;
};

namespace {

void put_escaped(std::string& out, std::string_view text) {
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
}

void put_sample(std::string& out, const std::string& name, const Labels& labels, const std::string& value,
                std::string_view bound = {}) {
  out += name;
  if (!labels.empty() || !bound.empty()) {
    out += '{';
    bool first = true;
    for (const auto& [label, text] : labels) {
      if (!std::exchange(first, false)) out += ',';
      out += label + "=\"";
      put_escaped(out, text);
      out += '"';
    }
    if (!bound.empty()) {
      if (!first) out += ',';
      out += "le=\"" + std::string(bound) + "\"";
    }
    out += '}';
  }
  out += ' ' + value + '\n';
}

void put_histogram(std::string& out, const std::string& name, const Labels& labels,
                   const Histogram& histogram) {
  uint64_t below = 0;
  for (size_t i = 0; i < histogram.bounds().size(); i++) {
    below += histogram.buckets()[i];
    put_sample(out, name + "_bucket", labels, std::to_string(below), std::to_string(histogram.bounds()[i]));
  }
  put_sample(out, name + "_bucket", labels, std::to_string(histogram.count()), "+Inf");
  put_sample(out, name + "_sum", labels, std::to_string(histogram.sum()));
  put_sample(out, name + "_count", labels, std::to_string(histogram.count()));
}

}  // namespace

Histogram::Histogram(std::vector<uint64_t> bounds)
    : bounds_(std::move(bounds)), buckets_(bounds_.size() + 1) {
  CHECK(std::is_sorted(bounds_.begin(), bounds_.end()));
}

void Histogram::observe(uint64_t value) {
  auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  buckets_[static_cast<size_t>(at - bounds_.begin())]++;
  count_++;
  sum_ += value;
}

std::vector<uint64_t> powers_of_two(uint64_t first, size_t n) {
  std::vector<uint64_t> bounds;
  for (; n > 0; n--, first *= 2) bounds.push_back(first);
  return bounds;
}

Metrics::Metrics() = default;
Metrics::~Metrics() = default;

Metrics::Family& Metrics::family(const std::string& name, std::string_view kind, std::string_view help) {
  std::unique_ptr<Family>& family = families_[name];
  if (family == nullptr) {
    family = std::make_unique<Family>();
    family->kind = kind;
    family->help = help;
  }
  CHECK(family->kind == kind, name + " is a " + family->kind);
  return *family;
}

Counter& Metrics::counter(const std::string& name, std::string_view help, const Labels& labels) {
  std::unique_ptr<Counter>& metric = family(name, "counter", help).counters[labels];
  if (metric == nullptr) metric = std::make_unique<Counter>();
  return *metric;
}

Gauge& Metrics::gauge(const std::string& name, std::string_view help, const Labels& labels) {
  std::unique_ptr<Gauge>& metric = family(name, "gauge", help).gauges[labels];
  if (metric == nullptr) metric = std::make_unique<Gauge>();
  return *metric;
}

Histogram& Metrics::histogram(const std::string& name, std::string_view help, std::vector<uint64_t> bounds,
                              const Labels& labels) {
  std::unique_ptr<Histogram>& metric = family(name, "histogram", help).histograms[labels];
  if (metric == nullptr) metric = std::make_unique<Histogram>(std::move(bounds));
  return *metric;
}

void Metrics::gauge_from(const std::string& name, std::string_view help, const Labels& labels,
                         std::function<int64_t()> value) {
  family(name, "gauge", help).asked[labels] = std::move(value);
}

void Metrics::remove(const std::string& label, const std::string& value) {
  auto matches = [&](const auto& entry) {
    auto at = entry.first.find(label);
    return at != entry.first.end() && at->second == value;
  };
  for (auto& [name, family] : families_) {
    std::erase_if(family->counters, matches);
    std::erase_if(family->gauges, matches);
    std::erase_if(family->histograms, matches);
    std::erase_if(family->asked, matches);
  }
}

std::string Metrics::to_text() const {
  std::string out;
  for (const auto& [name, family] : families_) {
    out += "# HELP " + name + ' ' + family->help + '\n';
    out += "# TYPE " + name + ' ' + family->kind + '\n';
    for (const auto& [labels, metric] : family->counters)
      put_sample(out, name, labels, std::to_string(metric->value()));
    for (const auto& [labels, metric] : family->gauges)
      put_sample(out, name, labels, std::to_string(metric->value()));
    for (const auto& [labels, value] : family->asked) put_sample(out, name, labels, std::to_string(value()));
    for (const auto& [labels, metric] : family->histograms) put_histogram(out, name, labels, *metric);
  }
  return out;
}

}  // namespace argon
