#include "core/base/timestamp.h"

#include <chrono>

namespace argon {

namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr int64_t kSecondsPerDay = 86'400;
constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

std::string digits(int64_t value, size_t width) {
  std::string text = std::to_string(value);
  return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

// Takes parts off the front of a text. Once a part is not there, everything fails.
class Parts {
 public:
  explicit Parts(std::string_view text) : rest_(text) {}

  int number(size_t width, int low, int high) {
    int value = 0;
    failed_ = failed_ || rest_.size() < width;
    for (size_t i = 0; i < width && !failed_; i++) {
      failed_ = rest_[i] < '0' || rest_[i] > '9';
      value = value * 10 + (rest_[i] - '0');
    }
    failed_ = failed_ || value < low || value > high;
    if (!failed_) rest_.remove_prefix(width);
    return value;
  }
  bool take(std::string_view any_of) {
    if (failed_ || rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void want(std::string_view any_of) { failed_ = !take(any_of) || failed_; }
  char front() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool ended() const { return !failed_ && rest_.empty(); }
  // Of a fraction of a second, any number of digits.
  int64_t nanoseconds() {
    int64_t value = 0;
    int64_t unit = kNanosecondsPerSecond;
    failed_ = failed_ || front() < '0' || front() > '9';
    for (; front() >= '0' && front() <= '9'; rest_.remove_prefix(1)) {
      unit /= 10;
      value += unit * (front() - '0');
    }
    return value;
  }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

// Seconds east of UTC.
int64_t offset(Parts& in) {
  if (in.take("zZ") || in.front() == '\0') return 0;
  bool west = in.front() == '-';
  in.want("+-");
  int64_t seconds = in.number(2, 0, 15) * 3600;
  if (in.take(":") || in.front() != '\0') seconds += in.number(2, 0, 59) * 60;
  return west ? -seconds : seconds;
}

}  // namespace

std::string timestamp_text(WallTime time) {
  int64_t seconds = time.ns / kNanosecondsPerSecond;
  int64_t rest = time.ns % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    seconds--;
  }
  int64_t of_day = (seconds % kSecondsPerDay + kSecondsPerDay) % kSecondsPerDay;
  year_month_day date{sys_days{days{(seconds - of_day) / kSecondsPerDay}}};
  std::string text = digits(static_cast<int>(date.year()), 4) + "-" +
                     digits(static_cast<unsigned>(date.month()), 2) + "-" +
                     digits(static_cast<unsigned>(date.day()), 2) + "T" + digits(of_day / 3600, 2) + ":" +
                     digits(of_day / 60 % 60, 2) + ":" + digits(of_day % 60, 2);
  if (rest >= 1000) text += "." + digits(rest / 1000, 6);
  return text + "Z";
}

Result<WallTime> parse_timestamp(std::string_view text) {
  Parts in(text);
  int y = in.number(4, 1970, 2261);
  in.want("-");
  int m = in.number(2, 1, 12);
  in.want("-");
  int d = in.number(2, 1, 31);
  in.want("tT ");
  int64_t seconds = in.number(2, 0, 23) * 3600;
  in.want(":");
  seconds += in.number(2, 0, 59) * 60;
  in.want(":");
  seconds += in.number(2, 0, 60);
  int64_t fraction = in.take(".") ? in.nanoseconds() : 0;
  seconds -= offset(in);
  year_month_day date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
  if (!in.ended() || !date.ok())
    return Error(Code::Invalid, "'" + std::string(text) +
                                    "' is no time: one like 2026-11-29T04:20:00Z or 2026-11-29 04:20:00.5+01 "
                                    "is expected");
  int64_t day_seconds = sys_days{date}.time_since_epoch().count() * kSecondsPerDay;
  return WallTime{(day_seconds + seconds) * kNanosecondsPerSecond + fraction};
}

}  // namespace argon
