#include "core/safekeeper/delete_everywhere.h"

#include <nlohmann/json.hpp>
#include <set>

#include "core/env/log.h"
#include "core/http/client.h"

namespace argon::safekeeper {
namespace {

constexpr Duration kDeletionTimeout = Duration::seconds(10);

class Deleter {
 public:
  Deleter(Task& task, const DeletionRequest& request) : task_(task), request_(request) {
    for (const auto& [id, http] : request.safekeepers) left_.insert(id);
  }

  Status run() {
    for (;;) {
      waiting_.clear();
      if (!gone_) TRY(ask_pageserver());
      if (marked_) TRY(ask_safekeepers());
      if (gone_ && left_.empty()) return {};
      TRY(pause());
    }
  }

 private:
  void say(const std::string& line) const {
    Logger(task_.env().log()).info("delete {}: {}", to_string(request_.what), line);
    if (request_.say) request_.say(line);
  }

  void acknowledge(std::optional<NodeId> by) const {
    if (request_.acknowledged) request_.acknowledged(by);
  }

  Result<http::Response> call(const Address& http) {
    Deadline deadline(task_, kDeletionTimeout);
    std::string target = "/v1/tenant/" + to_string(request_.what.tenant);
    if (request_.what.timeline) target += "/timeline/" + to_string(*request_.what.timeline);
    return http::fetch(task_, http, {"DELETE", target, {}, "", "application/json"});
  }

  Status ask_pageserver() {
    auto answer = call(request_.pageserver);
    if (answer.is(Code::Cancelled)) return answer.error();
    Status said = answer.ok() ? http::check_response(*answer) : Status(answer.error());
    bool deleted = said.ok();
    if (answer.ok() && said.is(Code::NotFound)) {
      auto body = answer->json();
      deleted = body.ok() && body->is_object() && body->value("deleted", false);
      if (!deleted && !marked_ && !request_.unknown_too) return said;
      gone_ = true;
    }
    if (said.is(Code::Stale) && !marked_) return said;
    if (deleted && !marked_) {
      say("the pageserver has marked it as deleted");
      acknowledge({});
    }
    marked_ = marked_ || said.ok() || gone_;
    if (gone_)
      say("nothing is left of it on the pageserver");
    else
      waiting_ += said.ok() ? "; the pageserver removes it" : "; pageserver: " + said.error().message();
    return {};
  }

  Status ask_safekeepers() {
    std::set<NodeId> left = left_;
    for (NodeId id : left) {
      auto answer = call(request_.safekeepers.at(id));
      if (answer.is(Code::Cancelled)) return answer.error();
      Status said = answer.ok() ? http::check_response(*answer) : Status(answer.error());
      if (said.ok()) acknowledge(id);
      if (said.ok() && answer->status == 200) {
        left_.erase(id);
        say("nothing is left of it on safekeeper " + to_string(id));
        continue;
      }
      waiting_ +=
          "; safekeeper " + to_string(id) + (said.ok() ? " removes it" : ": " + said.error().message());
    }
    return {};
  }

  Status pause() {
    Status slept = task_.sleep(request_.poll);
    if (!slept.is(Code::TimedOut)) return slept;
    return Error(Code::TimedOut,
                 (marked_ ? "it is deleted, but not all of it is gone yet" : "not deleted yet") + waiting_ +
                     "; delete it again to go on");
  }

  Task& task_;
  const DeletionRequest& request_;
  bool marked_ = false;
  bool gone_ = false;
  std::set<NodeId> left_;  // safekeepers that have something of it, as far as is known
  std::string waiting_;
};

}  // namespace

Status delete_everywhere(Task& task, const DeletionRequest& request) {
  return Deleter(task, request).run().with(to_string(request.what));
}

}  // namespace argon::safekeeper
