// The JDBC driver: run as a single file, `java -cp postgresql.jar Driver.java`. Connects as PGHOST and kin say.
// Exit status 0 and "ok", or the first thing that was not as it should be.

import java.io.StringReader;
import java.io.StringWriter;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.Arrays;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;

public class Driver {
  static final int ROWS = 10000;
  static Connection connection;

  static void check(boolean holds, String what) {
    if (!holds) throw new AssertionError(what);
  }

  static Connection connect(String database) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("sslmode", System.getenv().getOrDefault("PGSSLMODE", "disable"));
    if (System.getenv("PGSSLROOTCERT") != null) properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
    // The third use of a statement prepares it at the server; most types then come in binary.
    properties.setProperty("prepareThreshold", "3");
    return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
        + URLEncoder.encode(database, StandardCharsets.UTF_8), properties);
  }

  static void run(String text) throws SQLException {
    try (Statement statement = connection.createStatement()) { statement.execute(text); }
  }

  static String ask(String text) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(text)) {
      rows.next();
      return rows.getString(1);
    }
  }

  static PSQLException expectError(String state, String text) throws SQLException {
    try {
      run(text);
    } catch (PSQLException error) {
      check(state.equals(error.getSQLState()), text + ": " + error.getSQLState() + " " + error.getMessage());
      return error;
    }
    throw new AssertionError(text + ": no error");
  }

  static void preparesStatements() throws SQLException {
    run("create table things (id int primary key, name text, amount numeric, raw bytea, at timestamptz, tags text[])");
    byte[] raw = {0, 1, (byte) 255};
    Timestamp at = Timestamp.valueOf("2026-02-03 04:05:06.789");
    try (PreparedStatement add = connection.prepareStatement("insert into things values (?, ?, ?, ?, ?, ?)")) {
      for (int i = 1; i <= 1000; i++) {
        add.setInt(1, i);
        if (i % 10 == 0) add.setNull(2, Types.VARCHAR); else add.setString(2, "Zoë's ☃ " + i);
        add.setBigDecimal(3, new java.math.BigDecimal(i + ".25"));
        add.setBytes(4, raw);
        add.setTimestamp(5, at);
        add.setArray(6, connection.createArrayOf("text", new String[] {"a" + i, null}));
        add.addBatch();
        if (i % 100 == 0) check(Arrays.stream(add.executeBatch()).sum() == 100, "a batch inserts 100 rows");
      }
    }
    try (PreparedStatement find = connection.prepareStatement("select * from things where id = ?")) {
      for (int i = 1; i <= 20; i++) {
        find.setInt(1, i);
        ResultSet row = find.executeQuery();
        check(row.next() && row.getInt(1) == i, "row " + i);
        check(i % 10 == 0 ? row.getString(2) == null : row.getString(2).equals("Zoë's ☃ " + i), "name of row " + i);
        check(row.getBigDecimal(3).toString().equals(i + ".25"), "amount of row " + i);
        check(Arrays.equals(row.getBytes(4), raw) && row.getTimestamp(5).equals(at), "bytes and time of row " + i);
        check(((String[]) row.getArray(6).getArray())[0].equals("a" + i), "array of row " + i);
      }
    }
    check(Integer.parseInt(ask("select count(*) from pg_prepared_statements")) > 0, "nothing is prepared at the server");
  }

  static void readsByCursor() throws SQLException {
    connection.setAutoCommit(false);
    try (PreparedStatement all = connection.prepareStatement("select id from things order by id")) {
      all.setFetchSize(7);
      ResultSet rows = all.executeQuery();
      int seen = 0;
      while (rows.next()) check(rows.getInt(1) == ++seen, "row " + seen + " of the cursor");
      check(seen == 1000, "the cursor gave " + seen + " rows");
    }
    Savepoint savepoint = connection.setSavepoint();
    run("delete from things");
    connection.rollback(savepoint);
    connection.commit();
    connection.setAutoCommit(true);
    check(ask("select count(*) from things").equals("1000"), "a savepoint was not rolled back to");
  }

  static void copies() throws Exception {
    run("create table copied (i int, words text)");
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < ROWS; i++) lines.append(i).append("\tline ").append(i).append('\n');
    CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
    check(copy.copyIn("copy copied from stdin", new StringReader(lines.toString())) == ROWS, "rows copied in");
    StringWriter back = new StringWriter();
    copy.copyOut("copy (select * from copied order by i) to stdout", back);
    check(back.toString().equals(lines.toString()), "what was copied in and out differs");
  }

  static void listensAndNotifies() throws SQLException {
    run("listen news");
    try (Connection other = connect(System.getenv("PGDATABASE")); Statement statement = other.createStatement()) {
      statement.execute("notify news, 'hello'");
    }
    PGNotification[] got = connection.unwrap(PGConnection.class).getNotifications(30000);
    check(got != null && got.length == 1 && got[0].getName().equals("news") && got[0].getParameter().equals("hello"), "notification");
  }

  static void cancels() throws Exception {
    try (Statement sleeper = connection.createStatement()) {
      Thread canceller = new Thread(() -> {
        try {
          Thread.sleep(300);
          sleeper.cancel();
        } catch (Exception error) {
          error.printStackTrace();
        }
      });
      canceller.start();
      try {
        sleeper.execute("select pg_sleep(600)");
        check(false, "the query was not cancelled");
      } catch (PSQLException error) {
        check("57014".equals(error.getSQLState()), "cancel: " + error.getMessage());
      }
      canceller.join();
      sleeper.setQueryTimeout(1);
      try {
        sleeper.execute("select pg_sleep(600)");
        check(false, "the query has no time limit");
      } catch (PSQLException error) {
        check("57014".equals(error.getSQLState()), "time limit: " + error.getMessage());
      }
    }
    check(ask("select 1").equals("1"), "the connection is of no use after a cancel");
  }

  static void errorsAreSensible() throws SQLException {
    check(expectError("42703", "select nothing from things").getServerErrorMessage().getPosition() == 8, "position of the error");
    check("things_pkey".equals(expectError("23505", "insert into things values (1)").getServerErrorMessage().getConstraint()), "constraint");
    try {
      connect(System.getenv("NO_DATABASE"));
      check(false, "a database that is not there");
    } catch (PSQLException error) {
      check(error.getMessage().contains("database \"no_such\" does not exist"), error.getMessage());
    }
  }

  static void readsMetadata() throws SQLException {
    DatabaseMetaData data = connection.getMetaData();
    check(data.getDatabaseMajorVersion() == 15, "version " + data.getDatabaseProductVersion());
    ResultSet key = data.getPrimaryKeys(null, "jdbc", "things");
    check(key.next() && key.getString("COLUMN_NAME").equals("id"), "primary key");
    ResultSet columns = data.getColumns(null, "jdbc", "things", "%");
    int count = 0;
    while (columns.next()) count++;
    check(count == 6, count + " columns");
  }

  public static void main(String[] words) throws Exception {
    connection = connect(System.getenv("PGDATABASE"));
    run("drop schema if exists jdbc cascade");
    run("create schema jdbc");
    run("set search_path = jdbc");
    preparesStatements();
    readsByCursor();
    copies();
    listensAndNotifies();
    cancels();
    errorsAreSensible();
    readsMetadata();
    run("drop schema jdbc cascade");
    connection.close();
    System.out.println("ok");
  }
}
