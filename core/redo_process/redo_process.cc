#include "core/redo_process/redo_process.h"

#include <fmt/format.h>

#include "core/base/codec.h"
#include "core/env/io.h"
#include "core/fiber/scope.h"

namespace argon {
namespace {

constexpr std::string_view kMagic = "ARGREDO1";
constexpr size_t kWordsMax = 4096;
constexpr Duration kWordsTimeout = Duration::seconds(1);

}  // namespace

void RedoRequests::header(char type, size_t length) {
  Writer(bytes_).u8(static_cast<uint8_t>(type)).le(static_cast<uint32_t>(length));
}

void RedoRequests::begin(const pg::BlockTag& target) {
  header('B', 20);
  for (uint32_t number : {target.rel.node.spc, target.rel.node.db, target.rel.node.rel,
                          static_cast<uint32_t>(target.rel.fork), target.block})
    Writer(bytes_).le(number);
}

void RedoRequests::base(ByteView page) {
  CHECK(page.size() == pg::kBlockSize);
  header('P', page.size());
  append(bytes_, page);
}

void RedoRequests::apply(Lsn lsn, Lsn end, ByteView record) {
  header('A', 16 + record.size());
  Writer(bytes_).le(lsn.value).le(end.value).bytes(record);
}

void RedoRequests::page() {
  header('Q', 0);
  pages_++;
}

Result<std::unique_ptr<RedoProcess>> RedoProcess::start(Task& task, Env& env,
                                                        const RedoProcessConfig& config) {
  Processes* processes = env.processes();
  if (processes == nullptr) return Error(Code::Unsupported, "this world has no processes to redo WAL with");
  if (config.server.empty() || config.library.empty())
    return Error(Code::Unavailable,
                 "there is no argon_walredo.so, or no server is configured, to redo WAL with");
  SpawnOptions options;
  options.argv = {config.server, "--walredo"};
  if (config.hint_bits_logged) options.argv.push_back("--hints");
  if (!config.libraries.empty())
    options.argv.push_back(fmt::format("--libraries={}", fmt::join(config.libraries, ",")));
  options.environment = {{"LD_PRELOAD", config.library}, {"LC_ALL", "C"}};
  options.working_directory = "/";
  options.in = options.out = options.err = ChildStream::pipe();
  TRY_ASSIGN(std::unique_ptr<Process> process, processes->spawn(task, options));
  std::unique_ptr<RedoProcess> redo(new RedoProcess(std::move(process)));
  Deadline deadline(task, config.start_timeout);
  TRY(redo->greet(task));
  return redo;
}

Status RedoProcess::greet(Task& task) {
  uint8_t hello[kMagic.size() + 4];
  Status read = read_exact(task, *process_->out(), hello);
  if (read.is(Code::TimedOut) || read.is(Code::Cancelled)) return read;
  if (!read.ok()) return Error(Code::Unavailable, "the redo process did not start: " + last_words(task));
  if (as_text(ByteView(hello).first(kMagic.size())) != kMagic)
    return Error(Code::Unsupported, "what was started is no redo process of this version");
  version_ = load_le<uint32_t>(hello + kMagic.size());
  if (version_ / 10000 != pg::kPostgresMajor)
    return Error(Code::Unsupported, "the redo process is PostgreSQL " + std::to_string(version_));
  return {};
}

Result<Bytes> RedoProcess::run(Task& task, const RedoRequests& requests) {
  Bytes pages(requests.pages() * pg::kBlockSize);
  // Side by side: the process stops reading while nobody takes its answers.
  Scope writing(task);
  writing.spawn("redo requests", [&](Task& t) { return write_all(t, *process_->in(), requests.bytes()); });
  Status read = pages.empty() ? Status() : read_exact(task, *process_->out(), pages);
  if (read.ok()) {
    TRY(writing.join(task));
    return pages;
  }
  ignore_result(writing.stop(task));
  if (read.is(Code::TimedOut) || read.is(Code::Cancelled)) return read.error();
  return Error(Code::Corrupt, "PostgreSQL does not redo it: " + last_words(task));
}

std::string RedoProcess::last_words(Task& task) {
  Shield shield(task);
  Deadline deadline(task, kWordsTimeout);
  Bytes words(kWordsMax);
  size_t size = 0;
  while (size < words.size()) {
    auto n = process_->err()->read(task, ByteSpan(words).subspan(size));
    if (!n.ok() || *n == 0) break;
    size += *n;
  }
  std::string text(as_text(ByteView(words).first(size)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  auto ended = process_->wait(task);
  std::string how = "it still runs";
  if (ended.ok())
    how = ended->signal != 0 ? "signal " + std::to_string(ended->signal)
                             : "exit status " + std::to_string(ended->code);
  return (text.empty() ? "" : text + " ") + "(" + how + ")";
}

}  // namespace argon
