// For tests only: a private cluster of the stock PostgreSQL 15 in a temporary folder.
//
// Run by root, the server's programs run as the user postgres. Everything is removed at the end.

#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace argon::pg::test {

struct Output {
  int status = -1;  // exit status
  std::string text;
};

// Runs one shell command, as the user postgres if we are root; standard error goes along.
Output run(const std::string& command);
std::string program(std::string_view name);  // its path in the server's bin folder
Bytes read_file(const std::string& path);
void write_file(const std::string& path, ByteView bytes);

class StockCluster {
 public:
  // Makes a folder, and in it by initdb a cluster `data` with superuser cloud_admin.
  explicit StockCluster(const std::string& initdb_options = "");
  ~StockCluster();
  StockCluster(const StockCluster&) = delete;
  StockCluster& operator=(const StockCluster&) = delete;

  const std::string& folder() const { return folder_; }
  std::string data() const { return folder_ + "/data"; }
  std::string path(const std::string& inside) const { return data() + "/" + inside; }

  // Starts without TCP, socket in the folder, and waits for it; its log is in the output if it fails.
  Output start(const std::string& options = "");
  Output stop(const std::string& mode = "fast");
  Output sql(const std::string& text);  // psql -At, in the database postgres
  std::string log() const;

 private:
  std::string folder_;
  bool running_ = false;
};

}  // namespace argon::pg::test
