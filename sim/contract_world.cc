// The made-up world for the contract suite: one machine that meets no faults.

#include "core/env/contract/contract.h"
#include "sim/machine.h"

namespace argon::contract {
namespace {

sim::WorldOptions plain_world() {
  sim::WorldOptions options;
  options.seed = 42;
  return options;
}

class SimContractWorld final : public ContractWorld {
 public:
  SimContractWorld() : world_(plain_world()), machine_(world_.add_machine("node")) {
    machine_.boot([](Task& task, Env&) { return task.sleep(Duration::seconds(1'000'000)); });
    Status made =
        world_.run(machine_, [](Task& task) { return make_dirs(task, task.env().disk(), "/contract"); });
    CHECK(made.ok(), made.error().to_string());
  }

  Status run(const std::function<Status(Task&, Env&)>& body) override {
    return world_.run(machine_, [&](Task& task) { return body(task, task.env()); });
  }
  std::string directory() override { return "/contract"; }
  Address any_address() override { return Address::tcp("node", 0); }
  bool has_processes() override { return false; }

 private:
  sim::World world_;
  sim::Machine& machine_;
};

}  // namespace

std::unique_ptr<ContractWorld> make_contract_world() {
  return std::make_unique<SimContractWorld>();
}

}  // namespace argon::contract
