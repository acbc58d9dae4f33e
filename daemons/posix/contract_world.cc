// The real world for the contract suite: a PosixEnv per run, a temporary directory per world.

#include <stdlib.h>

#include <filesystem>

#include "core/env/contract/contract.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon::contract {
namespace {

class PosixContractWorld final : public ContractWorld {
 public:
  PosixContractWorld() {
    std::string name = (std::filesystem::temp_directory_path() / "argon-contract-XXXXXX").string();
    CHECK(mkdtemp(name.data()) != nullptr, "cannot make a temporary directory");
    root_ = name;
    directory_ = name + "/files";
    std::filesystem::create_directory(directory_);
  }
  ~PosixContractWorld() override { std::filesystem::remove_all(root_); }

  Status run(const std::function<Status(Task&, Env&)>& body) override {
    posix::LogFile log("contract", root_ + "/log", LogLevel::Debug, posix::read_wall_clock);
    posix::PosixEnv env(log, {});
    return env.run("main", [&](Task& task) { return body(task, env); });
  }
  std::string directory() override { return directory_; }

 private:
  std::string root_;
  std::string directory_;
};

}  // namespace

std::unique_ptr<ContractWorld> make_contract_world() {
  return std::make_unique<PosixContractWorld>();
}

}  // namespace argon::contract
