// ledger_client: clients that commit numbered rows and write down what they sent and what was
// acknowledged, for the ledger test.
//
// usage: ledger_client CONNINFO CLIENTS SECONDS LOG_PREFIX
// Each client c appends to LOG_PREFIX.c the lines "s N" before row (c, N) is sent and "a N" after its
// COMMIT was acknowledged; each line is flushed at once. A number is never sent twice. Connections that
// break are made anew until the time is over; a stop file LOG_PREFIX.stop ends it early.
// Prints one line a second: seconds and rows acknowledged so far; at the end how many there were, and the
// longest time in which no client had an answer.

#include <libpq-fe.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

struct Shared {
  std::string conninfo;
  std::string log_prefix;
  Clock::time_point end;
  std::atomic<long> acknowledged{0};
  std::mutex mutex;
  Clock::time_point last_answer = Clock::now();
  Clock::duration longest_pause{};

  void answered() {
    std::lock_guard lock(mutex);
    Clock::time_point now = Clock::now();
    longest_pause = std::max(longest_pause, now - last_answer);
    last_answer = now;
    acknowledged++;
  }
  bool over() const { return Clock::now() >= end || access((log_prefix + ".stop").c_str(), F_OK) == 0; }
};

bool execute(PGconn* connection, const char* sql) {
  PGresult* result = PQexec(connection, sql);
  ExecStatusType status = PQresultStatus(result);
  PQclear(result);
  return status == PGRES_COMMAND_OK;
}

// One row in a transaction of its own; true if COMMIT was acknowledged.
bool commit_row(PGconn* connection, int client, long number) {
  std::string insert =
      "insert into ledger values (" + std::to_string(client) + ", " + std::to_string(number) + ")";
  return execute(connection, "begin") && execute(connection, insert.c_str()) && execute(connection, "commit");
}

void run_client(Shared& shared, int client) {
  FILE* log = std::fopen((shared.log_prefix + "." + std::to_string(client)).c_str(), "a");
  if (log == nullptr) {
    std::perror("ledger_client: open log");
    std::exit(1);
  }
  long number = 0;
  while (!shared.over()) {
    Connection connection(PQconnectdb(shared.conninfo.c_str()), &PQfinish);
    if (PQstatus(connection.get()) != CONNECTION_OK) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    while (!shared.over() && PQstatus(connection.get()) == CONNECTION_OK) {
      number++;
      std::fprintf(log, "s %ld\n", number);
      std::fflush(log);
      if (!commit_row(connection.get(), client, number)) break;
      std::fprintf(log, "a %ld\n", number);
      std::fflush(log);
      shared.answered();
    }
  }
  std::fclose(log);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: ledger_client CONNINFO CLIENTS SECONDS LOG_PREFIX\n");
    return 2;
  }
  Shared shared;
  shared.conninfo = argv[1];
  shared.log_prefix = argv[4];
  shared.end = Clock::now() + std::chrono::seconds(std::atoi(argv[3]));
  std::vector<std::thread> clients;
  for (int i = 0; i < std::atoi(argv[2]); i++) clients.emplace_back(run_client, std::ref(shared), i);
  long before = 0;
  long idle_seconds = 0;
  for (int second = 1; !shared.over(); second++) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    long now = shared.acknowledged;
    idle_seconds = now == before ? idle_seconds + 1 : 0;
    std::printf("%d s: %ld rows acknowledged, %ld in the last second, idle for %ld s\n", second, now,
                now - before, idle_seconds);
    std::fflush(stdout);
    before = now;
  }
  for (std::thread& client : clients) client.join();
  std::printf(
      "acknowledged %ld, longest pause %ld ms\n", shared.acknowledged.load(),
      static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(shared.longest_pause).count()));
  return 0;
}
