// The contract suite: what every world behind Env promises, as tests.
//
// A world links argon_contract (all cases) with one definition of make_contract_world(). Each case
// runs as the main task of a fresh node with an empty directory of its own.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/env/io.h"
#include "core/fiber/scope.h"
#include "core/fiber/sync.h"

namespace argon::contract {

class ContractWorld {
 public:
  virtual ~ContractWorld() = default;

  // Runs body as the main task of the node until it and all it spawned have ended; its result. May be
  // called again: the disk stays.
  virtual Status run(const std::function<Status(Task&, Env&)>& body) = 0;
  // An empty directory on the node's disk, for this world object alone.
  virtual std::string directory() = 0;
  // Where a listener of this node may be bound, with port 0 (any free one).
  virtual Address any_address() { return Address::tcp("127.0.0.1", 0); }
  virtual bool has_unix_sockets() { return true; }
  virtual bool has_processes() { return true; }
};

// Defined by the world under test.
std::unique_ptr<ContractWorld> make_contract_world();

class Contract : public testing::Test {
 public:
  using Body = Status (*)(Contract&, Task&, Env&);

  ContractWorld& world() { return *world_; }
  std::string path(std::string_view name) { return join_path(world_->directory(), name); }
  void run(Body body) {
    Status status = world_->run([&](Task& task, Env& env) { return body(*this, task, env); });
    EXPECT_TRUE(status.ok()) << status.error().to_string();
  }

 private:
  std::unique_ptr<ContractWorld> world_ = make_contract_world();
};

// The code of a result, or "ok".
template <typename T>
std::string outcome(const Result<T>& result) {
  return result.ok() ? "ok" : std::string(to_string(result.code()));
}

}  // namespace argon::contract

// CONTRACT(Suite, TheClaim) { … return {}; }, with `test`, `task` and `env` at hand.
#define CONTRACT(suite, claim)                                                                         \
  static ::argon::Status suite##_##claim(Contract& test, Task& task, Env& env);                        \
  TEST_F(suite, claim) {                                                                               \
    run(&suite##_##claim);                                                                             \
  }                                                                                                    \
  static ::argon::Status suite##_##claim([[maybe_unused]] Contract& test, [[maybe_unused]] Task& task, \
                                         [[maybe_unused]] Env& env)
