#include "scenarios/sql_dml.h"

#include <algorithm>

#include "scenarios/sql_values.h"

namespace argon::scenarios {
namespace {

constexpr uint64_t kInsertMax = 60;
constexpr uint64_t kLongInsertMax = 8;
// Ids of a table that may have rows: a run's memory is small.
constexpr uint64_t kIdsMax = 300;
constexpr uint64_t kLongIdsMax = 40;
// More than fit in a backend's cache of them.
constexpr uint64_t kSubtransactionsMax = 80;
// Where COPY may write and read: in the data directory, which has no other name that lasts.
constexpr const char* kCopyFile = "/proc/self/cwd/copied";

struct Ids {
  uint64_t from = 0;
  uint64_t to = 0;
};

class Dml {
 public:
  Dml(SqlDraft& draft, const std::string& name, SqlTable& table)
      : draft_(draft), random_(draft.random), name_(name), table_(table) {
    for (const SqlColumn& column : table.columns) long_ = long_ || column.type == SqlType::LongText;
  }
  void draw();

 private:
  bool has_ids() const { return table_.first_id < table_.next_id; }
  uint64_t ids() const { return table_.next_id - table_.first_id; }
  void make_room();
  Ids new_ids();
  Ids some_ids();
  std::string columns() const;
  std::string values(const std::string& i, bool may_ask_sequence);
  std::string condition();
  std::string assignments();

  void insert();
  void copy();
  void insert_from_itself();
  void insert_by_way_of_temporary();
  void upsert();
  void update();
  void move_ids();
  void remove();
  void lock_rows();
  void many_subtransactions();
  void read_by_cursor();

  SqlDraft& draft_;
  Random& random_;
  const std::string& name_;
  SqlTable& table_;
  bool long_ = false;
};

// Deletes the oldest ids where there are many.
void Dml::make_room() {
  if (ids() <= (long_ ? kLongIdsMax : kIdsMax)) return;
  table_.first_id += ids() / 2;
  draft_.add(fmt::format("delete from {} where id < {}", name_, table_.first_id));
}

Ids Dml::new_ids() {
  make_room();
  Ids made{table_.next_id, table_.next_id + random_.log_uniform(1, long_ ? kLongInsertMax : kInsertMax) - 1};
  table_.next_id = made.to + 1;
  return made;
}

// REQUIRES: has_ids().
Ids Dml::some_ids() {
  uint64_t from = random_.between(table_.first_id, table_.next_id - 1);
  uint64_t most = std::min(table_.next_id - from, long_ ? kLongInsertMax : kInsertMax);
  return {from, from + random_.log_uniform(1, most) - 1};
}

std::string Dml::columns() const {
  std::string all = "id";
  for (const SqlColumn& column : table_.columns) all += ", " + column.name;
  return all;
}

std::string Dml::values(const std::string& i, bool may_ask_sequence) {
  std::string all = i;
  for (const SqlColumn& column : table_.columns) {
    std::string value = sql_value(column.type, fmt::format("{} + {}", i, random_.below(1000)));
    bool ask = may_ask_sequence && column.type == SqlType::BigInt && !draft_.state.sequences.empty() &&
               random_.below(2) == 0;
    if (ask) {
      value = fmt::format("nextval('{}')", draft_.one_of(draft_.state.sequences).first);
      draft_.nextvals += kInsertMax;
    } else if (random_.below(10) == 0) {
      value = "null::" + sql_name(column.type);
    }
    all += ", " + value;
  }
  return all;
}

// Of rows to change.
std::string Dml::condition() {
  if (!table_.indexes.empty() && random_.below(3) == 0) {
    const SqlIndex& index = table_.indexes[random_.below(table_.indexes.size())];
    const SqlColumn* column = table_.find(index.columns.front());
    if (column != nullptr) return index_condition(*column, index.method, random_);
  }
  if (has_ids() && random_.below(2) == 0) {
    Ids some = some_ids();
    return fmt::format("id between {} and {}", some.from, some.to);
  }
  uint64_t modulus = random_.log_uniform(2, 60);
  return fmt::format("id % {} = {}", modulus, random_.below(modulus));
}

// REQUIRES: there is a column.
std::string Dml::assignments() {
  const SqlColumn& column = table_.columns[random_.below(table_.columns.size())];
  return fmt::format("{} = {}", column.name,
                     sql_value(column.type, fmt::format("id + {}", random_.below(1000))));
}

void Dml::insert() {
  Ids ids = new_ids();
  bool in_order = random_.below(2) == 0;
  draft_.add(fmt::format("insert into {} ({}) select {} from generate_series({}, {}) i{}", name_, columns(),
                         values("i", in_order), ids.from, ids.to, in_order ? "" : " order by md5(i::text)"));
}

void Dml::copy() {
  Ids ids = new_ids();
  draft_.add(fmt::format("copy (select {} from generate_series({}, {}) i) to '{}'", values("i", false),
                         ids.from, ids.to, kCopyFile));
  draft_.add(fmt::format("copy {} ({}) from '{}'", name_, columns(), kCopyFile));
}

void Dml::insert_from_itself() {
  make_room();
  Ids from = some_ids();
  uint64_t by = table_.next_id - from.from;
  table_.next_id += from.to - from.from + 1;
  std::string all = columns();
  draft_.add(fmt::format("insert into {} ({}) select id + {}{} from {} where id between {} and {}", name_,
                         all, by, all.substr(2), name_, from.from, from.to));
}

void Dml::insert_by_way_of_temporary() {
  std::string temporary = draft_.new_name("tmp");
  make_room();
  Ids from = some_ids();
  uint64_t by = table_.next_id - from.from;
  table_.next_id += from.to - from.from + 1;
  std::string all = columns();
  draft_.add(
      fmt::format("create temporary table {} on commit drop as select * from {} where id between {} and {}",
                  temporary, name_, from.from, from.to));
  draft_.add(fmt::format("update {} set id = id + {}", temporary, by));
  draft_.add(fmt::format("insert into {} ({}) select {} from {}", name_, all, all, temporary));
  draft_.add("drop table " + temporary);
}

void Dml::upsert() {
  Ids old = some_ids();
  uint64_t more = random_.below(20);
  std::string set;
  for (const SqlColumn& column : table_.columns)
    set += fmt::format("{}{} = excluded.{}", set.empty() ? "" : ", ", column.name, column.name);
  std::string otherwise = set.empty() || random_.below(4) == 0 ? "nothing" : "update set " + set;
  draft_.add(
      fmt::format("insert into {} ({}) select {} from generate_series({}, {}) i on conflict (id) do {}",
                  name_, columns(), values("i", false), old.from, old.to + more, otherwise));
  table_.next_id = std::max(table_.next_id, old.to + more + 1);
}

void Dml::update() {
  draft_.add(fmt::format("update {} set {} where {}", name_, assignments(), condition()));
}

void Dml::move_ids() {
  Ids from = some_ids();
  uint64_t by = table_.next_id - from.from;
  table_.next_id += from.to - from.from + 1;
  draft_.add(
      fmt::format("update {} set id = id + {} where id between {} and {}", name_, by, from.from, from.to));
}

void Dml::remove() {
  draft_.add(fmt::format("delete from {} where {}", name_, condition()));
}

void Dml::lock_rows() {
  static constexpr const char* kHow[] = {"update", "no key update", "share", "key share"};
  draft_.show(fmt::format("select count(*) from (select id from {} where {} for {}) locked", name_,
                          condition(), kHow[random_.below(4)]));
}

// Some of which come to nothing.
void Dml::many_subtransactions() {
  make_room();
  uint64_t count = random_.log_uniform(2, long_ ? kLongInsertMax : kSubtransactionsMax);
  uint64_t first = table_.next_id;
  table_.next_id += count;
  draft_.add(fmt::format(
      "do $do$ begin for i in {}..{} loop begin insert into {} ({}) select {}; if i % {} = 0 then "
      "raise exception 'no'; end if; exception when raise_exception then null; end; end loop; end $do$",
      first, first + count - 1, name_, columns(), values("i", false), random_.between(2, 7)));
}

// A cursor sees what was there when it was opened, whatever comes after: of its own transaction what came
// before it, which only the command ids of tuples tell.
void Dml::read_by_cursor() {
  if (random_.below(2) == 0) insert();
  std::string cursor = draft_.new_name("cur");
  bool whole = random_.below(2) == 0;
  draft_.add(fmt::format(
      "declare {} scroll cursor for {}", cursor,
      whole ? rows_of(name_) : fmt::format("select id, md5(t::text) from {} t order by id", name_)));
  if (!whole && random_.below(2) == 0) draft_.show("fetch 3 from " + cursor);
  if (!table_.columns.empty()) update();
  if (random_.below(2) == 0) remove();
  // So that buffers are taken for other pages.
  if (random_.below(2) == 0)
    for (const auto& [other, table] : draft_.state.tables)
      if (other != name_ && !(draft_.two_phase && table.unlogged)) draft_.show(rows_of(other));
  draft_.show("fetch 20 from " + cursor);
  draft_.add("close " + cursor);
}

void Dml::draw() {
  uint64_t drawn = random_.below(34);
  if (!has_ids() || drawn < 8) return insert();
  if (drawn < 10) return copy();
  if (drawn < 12) return insert_from_itself();
  if (drawn == 12 && !draft_.two_phase) return insert_by_way_of_temporary();
  if (drawn < 15) return upsert();
  if (drawn < 22 && !table_.columns.empty()) return update();
  if (drawn < 24) return move_ids();
  if (drawn < 26) return remove();
  if (drawn == 26) return lock_rows();
  if (drawn == 27) return many_subtransactions();
  if (drawn < 30) return read_by_cursor();
  draft_.show(rows_of(name_));
}

}  // namespace

void draw_dml(SqlDraft& draft) {
  std::vector<std::string> names;
  for (const auto& [name, table] : draft.state.tables)
    if (!draft.two_phase || !table.unlogged) names.push_back(name);
  if (names.empty()) {
    draft.show("select 1");
    return;
  }
  const std::string& name = names[draft.random.below(names.size())];
  Dml(draft, name, draft.state.tables.at(name)).draw();
}

}  // namespace argon::scenarios
