// Metrics: counters, gauges and histograms of one daemon, as Prometheus text.
//
// One Metrics object per daemon (no globals); it outlives everybody who holds one of its metrics, and
// is used on one reactor. Values are integers; units are in the name ("_bytes", "_microseconds").
// The text is sorted by name and labels, so it is the same in every run that counted the same.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace argon {

class Counter {
 public:
  void add(uint64_t n = 1) { value_ += n; }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

class Gauge {
 public:
  void set(int64_t value) { value_ = value; }
  void add(int64_t n) { value_ += n; }
  int64_t value() const { return value_; }

 private:
  int64_t value_ = 0;
};

class Histogram {
 public:
  // Upper bounds, ascending; a last bucket without one is implied.
  explicit Histogram(std::vector<uint64_t> bounds);
  void observe(uint64_t value);
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  const std::vector<uint64_t>& bounds() const { return bounds_; }
  // Of values <= bounds()[i] and above the bound before; the last one has no bound.
  const std::vector<uint64_t>& buckets() const { return buckets_; }

 private:
  std::vector<uint64_t> bounds_;
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
};

// {first, first * 2, …}: `n` bounds.
std::vector<uint64_t> powers_of_two(uint64_t first, size_t n);

using Labels = std::map<std::string, std::string>;

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The metric of that name and labels, made on first use; the reference stays valid until remove().
  // REQUIRES: a name always means the same kind.
  Counter& counter(const std::string& name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, std::string_view help, std::vector<uint64_t> bounds,
                       const Labels& labels = {});
  // A gauge whose value is asked for when the text is made. Replaces one of the same name and labels.
  void gauge_from(const std::string& name, std::string_view help, const Labels& labels,
                  std::function<int64_t()> value);
  // Forgets every metric that has this label (a timeline that is gone).
  void remove(const std::string& label, const std::string& value);

  // Prometheus text format, version 0.0.4.
  std::string to_text() const;

 private:
  struct Family;
  Family& family(const std::string& name, std::string_view kind, std::string_view help);

  std::map<std::string, std::unique_ptr<Family>> families_;
};

}  // namespace argon
