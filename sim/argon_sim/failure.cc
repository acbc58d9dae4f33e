#include "sim/argon_sim/failure.h"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>

namespace argon::sim {
namespace {

std::string slug(std::string_view text) {
  std::string made;
  for (char c : text) {
    bool keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (keep)
      made += c;
    else if (!made.empty() && made.back() != '-')
      made += '-';
  }
  return made.substr(0, 40);
}

void write_file(const std::filesystem::path& path, std::string_view text,
                std::ios::openmode mode = std::ios::trunc) {
  std::ofstream out(path, std::ios::out | mode);
  out << text;
  if (!out.flush().good()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace

std::filesystem::path failure_folder(const std::filesystem::path& root, const std::string& scenario,
                                     const Signature& signature) {
  uint64_t hash = hash64(as_bytes(to_string(signature)));
  return root / fmt::format("{}-{}-{:08x}", scenario, slug(signature.oracle), hash & 0xffffffff);
}

bool keep_failure(const std::filesystem::path& folder, const Request& request, const Outcome& outcome,
                  Runs& again) {
  std::filesystem::create_directories(folder);
  bool first = !std::filesystem::exists(folder / "case");
  write_file(folder / "seeds", std::to_string(request.what.seed) + "\n", std::ios::app);
  if (!first) return false;
  scenarios::Case kept = request.what;
  if (outcome.report.is_object()) kept.plan = outcome.plan();
  write_file(folder / "case", print(kept));
  if (kept.plan.has_value()) write_file(folder / "plan", print(*kept.plan));
  write_file(folder / "signature", to_string(outcome.signature) + "\n");
  write_file(folder / "failure", outcome.failure + "\n");
  write_file(folder / "command", "argon-sim replay " + folder.string() + "\n");
  write_file(folder / "output", outcome.text);
  Request replay = request;
  replay.keep_events = true;
  Outcome replayed = again.run(replay);
  std::string events;
  if (replayed.report.is_object() && replayed.report.contains("tool"))
    for (const auto& line : replayed.report["tool"].value("latest_events", std::vector<std::string>()))
      events += line + "\n";
  write_file(folder / "events", events);
  return true;
}

Result<scenarios::Case> read_case(const std::filesystem::path& path) {
  std::filesystem::path file = std::filesystem::is_directory(path) ? path / "case" : path;
  std::ifstream in(file);
  if (!in) return Error(Code::NotFound, "cannot read " + file.string());
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  Result<scenarios::Case> read = scenarios::parse_case(text);
  if (!read.ok()) return Error(Code::Invalid, file.string() + ": " + read.error().message());
  if (scenarios::find_scenario(read->scenario) == nullptr)
    return Error(Code::Invalid, file.string() + ": there is no scenario '" + read->scenario + "'");
  return read;
}

}  // namespace argon::sim
