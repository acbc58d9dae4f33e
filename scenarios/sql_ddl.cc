#include "scenarios/sql_ddl.h"

#include <algorithm>

#include "scenarios/sql_values.h"

namespace argon::scenarios {
namespace {

constexpr size_t kTablesMax = 4;
constexpr size_t kColumnsMax = 6;
constexpr size_t kIndexesMax = 4;
constexpr size_t kSequencesMax = 3;
constexpr uint64_t kNextvalsMax = 50;

SqlColumn draw_column(SqlDraft& draft) {
  return {draft.new_name("c"), static_cast<SqlType>(draft.random.below(kSqlTypes))};
}

// Of an index. At 10 even a small one has many pages.
std::string fillfactor(Random& random) {
  return fmt::format(" with (fillfactor = {})", random.below(2) == 0 ? 10 : random.between(10, 100));
}

bool can_cluster(const SqlIndex& index) {
  return index.method == "btree" || index.method == "gist";
}

class Ddl {
 public:
  Ddl(SqlDraft& draft, std::string name)
      : draft_(draft), random_(draft.random), name_(std::move(name)), table_(draft.state.tables.at(name_)) {}
  void draw();

 private:
  void create_index();
  void drop_index();
  void add_column();
  void drop_column();
  void widen_column();
  void rename();
  void drop();
  void copy_whole();
  void rewrite();
  void truncate();
  void change_logging();
  std::string options(const std::string& method);

  SqlDraft& draft_;
  Random& random_;
  std::string name_;
  SqlTable& table_;
};

// Storage parameters; may be nothing.
std::string Ddl::options(const std::string& method) {
  if (random_.below(2) == 0) return "";
  if (method == "gin")
    return random_.below(2) == 0 ? " with (fastupdate = off)" : " with (gin_pending_list_limit = 64)";
  if (method == "brin") return fmt::format(" with (pages_per_range = {})", random_.between(1, 8));
  if (method == "gist" && random_.below(2) == 0) return " with (buffering = on)";
  return fillfactor(random_);
}

void Ddl::create_index() {
  if (table_.columns.empty() || table_.indexes.size() >= kIndexesMax) return drop_index();
  const SqlColumn& column = table_.columns[random_.below(table_.columns.size())];
  std::vector<std::string> methods = index_methods(column.type);
  SqlIndex index{draft_.new_name("i"), methods[random_.below(methods.size())], {column.name}};
  std::string listed = index_column(column, index.method);
  bool unique = false;
  if (index.method == "btree") {
    const SqlColumn& second = table_.columns[random_.below(table_.columns.size())];
    std::vector<std::string> possible = index_methods(second.type);
    if (second.name != column.name && std::ranges::find(possible, "btree") != possible.end()) {
      index.columns.push_back(second.name);
      listed += ", " + second.name + " desc";
    }
    unique = random_.below(3) == 0;
    if (unique) listed += ", id";
  }
  draft_.add(fmt::format("create {}index {} on {} using {} ({}){}", unique ? "unique " : "", index.name,
                         name_, index.method, listed, options(index.method)));
  table_.indexes.push_back(std::move(index));
}

void Ddl::drop_index() {
  if (table_.indexes.empty()) return rewrite();
  auto which = table_.indexes.begin() + static_cast<ptrdiff_t>(random_.below(table_.indexes.size()));
  draft_.add("drop index " + which->name);
  table_.indexes.erase(which);
}

void Ddl::add_column() {
  if (table_.columns.size() >= kColumnsMax) return drop_column();
  SqlColumn column = draw_column(draft_);
  std::string value;
  if (random_.below(2) == 0 && column.type != SqlType::LongText)  // whose values are subqueries
    value = " default " + sql_value(column.type, std::to_string(random_.below(1000)));
  draft_.add(
      fmt::format("alter table {} add column {} {}{}", name_, column.name, sql_name(column.type), value));
  table_.columns.push_back(std::move(column));
}

void Ddl::drop_column() {
  if (table_.columns.empty()) return add_column();
  auto which = table_.columns.begin() + static_cast<ptrdiff_t>(random_.below(table_.columns.size()));
  draft_.add(fmt::format("alter table {} drop column {}", name_, which->name));
  std::erase_if(table_.indexes, [&](const SqlIndex& index) {
    return std::ranges::find(index.columns, which->name) != index.columns.end();
  });
  table_.columns.erase(which);
}

void Ddl::widen_column() {
  for (SqlColumn& column : table_.columns) {
    if (column.type != SqlType::Int) continue;
    draft_.add(fmt::format("alter table {} alter column {} type bigint", name_, column.name));
    column.type = SqlType::BigInt;
    return;
  }
  rewrite();
}

void Ddl::rename() {
  std::string to = draft_.new_name("t");
  draft_.add(fmt::format("alter table {} rename to {}", name_, to));
  auto node = draft_.state.tables.extract(name_);
  node.key() = to;
  draft_.state.tables.insert(std::move(node));
}

void Ddl::drop() {
  draft_.add("drop table " + name_);
  draft_.state.tables.erase(name_);
}

void Ddl::copy_whole() {
  if (draft_.state.tables.size() >= kTablesMax) return drop();
  std::string to = draft_.new_name("t");
  draft_.add(fmt::format("create table {} as select * from {}", to, name_));
  draft_.add(fmt::format("alter table {} add primary key (id)", to));
  SqlTable made = table_;
  made.indexes.clear();
  made.unlogged = false;
  draft_.state.tables[to] = std::move(made);
}

void Ddl::rewrite() {
  auto clustered = std::ranges::find_if(table_.indexes, can_cluster);
  switch (random_.below(4)) {
    case 0:
      if (clustered != table_.indexes.end())
        return draft_.add(fmt::format("cluster {} using {}", name_, clustered->name));
      return draft_.add("reindex table " + name_);
    case 1:
      if (!table_.indexes.empty())
        return draft_.add("reindex index " + table_.indexes[random_.below(table_.indexes.size())].name);
      return draft_.add("reindex table " + name_);
    case 2:
      return truncate();
    default:
      return draft_.add(fmt::format("alter table {} set (fillfactor = {})", name_, random_.between(10, 100)));
  }
}

// Where the transaction has given the table new files they are cut in place, and PostgreSQL's SP-GiST goes on
// with the pages that it remembers of before: "could not read block", on a stock server too (15.20).
void Ddl::truncate() {
  bool spgist =
      std::ranges::any_of(table_.indexes, [](const SqlIndex& index) { return index.method == "spgist"; });
  if (spgist && !draft_.statements.empty()) return draft_.add("reindex table " + name_);
  draft_.add("truncate " + name_);
  table_.first_id = table_.next_id;
}

void Ddl::change_logging() {
  if (draft_.two_phase) return rewrite();
  table_.unlogged = !table_.unlogged;
  draft_.add(fmt::format("alter table {} set {}", name_, table_.unlogged ? "unlogged" : "logged"));
}

void Ddl::draw() {
  uint64_t drawn = random_.below(20);
  if (drawn < 6) return create_index();
  if (drawn == 6) return drop_index();
  if (drawn < 9) return add_column();
  if (drawn == 9) return drop_column();
  if (drawn == 10) return widen_column();
  if (drawn == 11) return rename();
  if (drawn == 12) return drop();
  if (drawn == 13) return copy_whole();
  if (drawn == 14) return change_logging();
  rewrite();
}

void create_sequence(SqlDraft& draft) {
  std::string name = draft.new_name("q");
  uint64_t increment = draft.random.between(1, 5);
  draft.add(fmt::format("create sequence {} increment {}", name, increment));
  draft.state.sequences[name] = increment;
}

void draw_sequence(SqlDraft& draft) {
  Random& random = draft.random;
  auto& sequences = draft.state.sequences;
  if (sequences.empty() || (sequences.size() < kSequencesMax && random.below(4) == 0))
    return create_sequence(draft);
  auto& [name, increment] = draft.one_of(sequences);
  switch (random.below(8)) {
    case 0:
      draft.add("drop sequence " + name);
      sequences.erase(name);
      return;
    case 1:
      draft.add(fmt::format("alter sequence {} restart with {}", name, random.between(1, 1000)));
      return;
    case 2:
      increment = random.between(1, 5);
      draft.add(fmt::format("alter sequence {} increment {}", name, increment));
      return;
    default: {
      uint64_t calls = random.log_uniform(1, kNextvalsMax);
      draft.nextvals += calls;
      draft.show(fmt::format("select sum(nextval('{}')) from generate_series(1, {})", name, calls));
    }
  }
}

}  // namespace

void draw_create_table(SqlDraft& draft) {
  std::string name = draft.new_name("t");
  SqlTable table;
  table.unlogged = !draft.two_phase && draft.random.below(5) == 0;
  std::string columns;
  for (uint64_t left = draft.random.between(1, kColumnsMax - 1); left > 0; left--) {
    table.columns.push_back(draw_column(draft));
    columns += ", " + table.columns.back().name + " " + sql_name(table.columns.back().type);
  }
  std::string options;
  if (draft.random.below(2) == 0)
    options = fmt::format(" with (fillfactor = {})", draft.random.between(10, 100));
  std::string key = draft.random.below(3) == 0 ? fillfactor(draft.random) : "";
  draft.add(fmt::format("create {}table {} (id int primary key{}{}){}", table.unlogged ? "unlogged " : "",
                        name, key, columns, options));
  draft.state.tables[name] = std::move(table);
}

void draw_ddl(SqlDraft& draft) {
  uint64_t drawn = draft.random.below(10);
  if (drawn < 3) return draw_sequence(draft);
  if (drawn < 5 && draft.state.tables.size() < kTablesMax) return draw_create_table(draft);
  std::vector<std::string> names;
  for (const auto& [name, table] : draft.state.tables)
    if (!draft.two_phase || !table.unlogged) names.push_back(name);
  if (names.empty()) return draw_create_table(draft);
  Ddl(draft, names[draft.random.below(names.size())]).draw();
}

}  // namespace argon::scenarios
