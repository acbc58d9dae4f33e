// The installed PostgreSQL: its version, and the data directory that initdb made.

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "core/env/io.h"
#include "daemons/main/commands.h"
#include "daemons/main/files.h"

namespace argon::cli {
namespace {

using namespace literals;

constexpr int kOldestServer = 150013;

struct Output {
  ExitStatus status;
  std::string text;  // of both streams
};

Result<Output> run_program(Task& task, Env& env, SpawnOptions options) {
  constexpr size_t kMost = 256 * 1024;
  options.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}};
  options.working_directory = "/";
  options.out = ChildStream::pipe();
  TRY_ASSIGN(std::unique_ptr<Process> process, env.processes()->spawn(task, options));
  Output output;
  TRY_ASSIGN(output.text, read_to_end(task, *process->out(), kMost));
  TRY_ASSIGN(output.status, process->wait(task));
  return output;
}

// "postgres (PostgreSQL) 15.20 (Debian …)" is 150020; 0 where it is not understood.
int parse_version(const std::string& text) {
  size_t at = text.find(") ");
  if (at == std::string::npos) return 0;
  const char* begin = text.data() + at + 2;
  const char* end = text.data() + text.size();
  int major = 0;
  int minor = 0;
  auto after = std::from_chars(begin, end, major).ptr;
  if (after < end && *after == '.') std::from_chars(after + 1, end, minor);
  return major * 10'000 + minor;
}

}  // namespace

Result<int> check_server_version(Task& task, Env& env, const Config& config) {
  SpawnOptions options;
  options.argv = {config.postgres_bin + "/postgres", "--version"};
  Result<Output> output = run_program(task, env, options);
  if (output.is(Code::NotFound))
    return Error(Code::NotFound,
                 "there is no PostgreSQL in " + config.postgres_bin +
                     ": install postgresql-15, or name its folder by `argon init --pg-distrib-dir`");
  TRY(output);
  int version = parse_version(output->text);
  if (version / 10'000 != 15 || version < kOldestServer)
    return Error(Code::Unsupported,
                 fmt::format("{}/postgres is version {}.{}: Argon needs PostgreSQL 15, 15.13 or later",
                             config.postgres_bin, version / 10'000, version % 10'000));
  return version;
}

Result<std::string> initdb_template(Task& task, Session& session, bool data_checksums) {
  const Config& config = session.config();
  TRY_ASSIGN(int version, check_server_version(task, session.env(), config));
  std::string kept = config.path("initdb/" + std::to_string(version) + (data_checksums ? "-checksums" : ""));
  if (std::filesystem::exists(kept + "/done")) return kept + "/data";
  session.say("running initdb (once for each version of PostgreSQL, with and without data checksums)");
  std::error_code ignored;
  std::filesystem::remove_all(kept, ignored);
  TRY(make_folders(kept));
  TRY(give_folder(kept, config.server_user()));
  SpawnOptions options;
  options.argv = {config.postgres_bin + "/initdb",
                  "--pgdata=" + kept + "/data",
                  "--username=cloud_admin",
                  "--auth=trust",
                  "--encoding=UTF8",
                  "--locale=C.UTF-8",
                  "--no-instructions"};
  if (data_checksums) options.argv.push_back("--data-checksums");
  options.user = config.server_user();
  options.err = ChildStream::file(config.path("initdb/initdb.log"));
  Deadline deadline(task, 120_s);
  TRY_ASSIGN(Output output, run_program(task, session.env(), options));
  if (!output.status.clean())
    return Error(Code::Io, "initdb failed:\n" + output.text + tail_of(config.path("initdb/initdb.log")));
  TRY(write_text(kept + "/done", "initdb ended well\n"));
  return kept + "/data";
}

Status create_root_timeline(Task& task, Session& session, const TenantId& tenant, const TimelineId& timeline,
                            const std::string& name, bool data_checksums) {
  TRY_ASSIGN(std::string data, initdb_template(task, session, data_checksums));
  nlohmann::json body = {
      {"new_timeline_id", to_string(timeline)},
      {"mode", "import"},
      {"data_directory", data},
      {"pg_version", 15},
      // initdb's own would be the same for all: WAL of one could then be taken for another's.
      {"system_id", std::to_string(session.env().random("argon.system_id").next() >> 1 | 1)}};
  TRY_ASSIGN(nlohmann::json details,
             session.pageserver(task, "POST", "/v1/tenant/" + to_string(tenant) + "/timeline", body, 120_s)
                 .with("create timeline " + to_string(timeline)));
  session.state().tenants[tenant].branches[name] = timeline;
  TRY(session.save());
  return create_on_safekeepers(task, session, {tenant, timeline}, details);
}

}  // namespace argon::cli
