#include "core/pg/record_names.h"

#include <array>

namespace argon::pg {
namespace {

// By resource manager, then by the high nibble of xl_info; empty where 15 has no such type.
constexpr std::array<std::array<std::string_view, 16>, kLastBuiltinRmgr + 1> kNames{{
    /* Xlog */ {"CHECKPOINT_SHUTDOWN", "CHECKPOINT_ONLINE", "NOOP", "NEXTOID", "SWITCH", "BACKUP_END",
                "PARAMETER_CHANGE", "RESTORE_POINT", "FPW_CHANGE", "END_OF_RECOVERY", "FPI_FOR_HINT", "FPI",
                "", "OVERWRITE_CONTRECORD"},
    /* Xact */
    {"COMMIT", "PREPARE", "ABORT", "COMMIT_PREPARED", "ABORT_PREPARED", "ASSIGNMENT", "INVALIDATION"},
    /* Smgr */ {"", "CREATE", "TRUNCATE"},
    /* Clog */ {"ZEROPAGE", "TRUNCATE"},
    /* Dbase */ {"CREATE_FILE_COPY", "CREATE_WAL_LOG", "DROP"},
    /* Tablespace */ {"CREATE", "DROP"},
    /* MultiXact */ {"ZERO_OFF_PAGE", "ZERO_MEM_PAGE", "CREATE_ID", "TRUNCATE_ID"},
    /* RelMap */ {"UPDATE"},
    /* Standby */ {"LOCK", "RUNNING_XACTS", "INVALIDATIONS"},
    /* Heap2 */
    {"REWRITE", "PRUNE", "VACUUM", "FREEZE_PAGE", "VISIBLE", "MULTI_INSERT", "LOCK_UPDATED", "NEW_CID", "",
     "", "", "", "", "MULTI_INSERT+INIT"},
    /* Heap */
    {"INSERT", "DELETE", "UPDATE", "TRUNCATE", "HOT_UPDATE", "HEAP_CONFIRM", "LOCK", "INPLACE", "INSERT+INIT",
     "", "UPDATE+INIT", "", "HOT_UPDATE+INIT"},
    /* Btree */
    {"INSERT_LEAF", "INSERT_UPPER", "INSERT_META", "SPLIT_L", "SPLIT_R", "INSERT_POST", "DEDUP", "DELETE",
     "UNLINK_PAGE", "UNLINK_PAGE_META", "NEWROOT", "MARK_PAGE_HALFDEAD", "VACUUM", "REUSE_PAGE",
     "META_CLEANUP"},
    /* Hash */
    {"INIT_META_PAGE", "INIT_BITMAP_PAGE", "INSERT", "ADD_OVFL_PAGE", "SPLIT_ALLOCATE_PAGE", "SPLIT_PAGE",
     "SPLIT_COMPLETE", "MOVE_PAGE_CONTENTS", "SQUEEZE_PAGE", "DELETE", "SPLIT_CLEANUP", "UPDATE_META_PAGE",
     "VACUUM_ONE_PAGE"},
    /* Gin */
    {"", "CREATE_PTREE", "INSERT", "SPLIT", "VACUUM_PAGE", "DELETE_PAGE", "UPDATE_META_PAGE",
     "INSERT_LISTPAGE", "DELETE_LISTPAGE", "VACUUM_DATA_LEAF_PAGE"},
    /* Gist */ {"PAGE_UPDATE", "DELETE", "PAGE_REUSE", "PAGE_SPLIT", "", "", "PAGE_DELETE", "ASSIGN_LSN"},
    /* Sequence */ {"LOG"},
    /* SpGist */
    {"", "ADD_LEAF", "MOVE_LEAFS", "ADD_NODE", "SPLIT_TUPLE", "PICKSPLIT", "VACUUM_LEAF", "VACUUM_ROOT",
     "VACUUM_REDIRECT"},
    /* Brin */
    {"CREATE_INDEX", "INSERT", "UPDATE", "SAMEPAGE_UPDATE", "REVMAP_EXTEND", "DESUMMARIZE", "", "", "",
     "INSERT+INIT", "UPDATE+INIT"},
    /* CommitTs */ {"ZEROPAGE", "TRUNCATE"},
    /* ReplicationOrigin */ {"SET", "DROP"},
    /* Generic */ {"Generic"},
    /* LogicalMessage */ {"MESSAGE"},
}};

}  // namespace

uint8_t record_type_id(uint8_t rmid, uint8_t info) {
  bool transaction = rmid == static_cast<uint8_t>(Rmgr::Xact);
  return info >> 4 & (transaction ? 0x07 : 0x0F);
}

std::string record_name(uint8_t rmid, uint8_t info) {
  uint8_t type = record_type_id(rmid, info);
  std::string_view name = rmid < kNames.size() ? kNames[rmid][type] : std::string_view();
  if (!name.empty()) return std::string(name);
  static constexpr char kDigits[] = "0123456789abcdef";
  return std::string("UNKNOWN (") + kDigits[type] + "0)";
}

}  // namespace argon::pg
