// The process of Kafka Streams beside a host of the bench: does what a line of its input says, and prints what came of it and `done`.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;

public final class StreamsPeer {
  private final ClickCount.Settings settings;
  private final ClickCount count;

  private StreamsPeer(ClickCount.Settings settings) throws InterruptedException {
    this.settings = settings;
    count = ClickCount.start(settings);
  }

  /** BROKERS TOPIC APPLICATION GUARANTEE COMMIT_MS FOLDER */
  public static void main(String[] args) throws Exception {
    StreamsPeer peer =
        new StreamsPeer(
            new ClickCount.Settings(
                args[0], args[1], args[2], args[3], Integer.parseInt(args[4]), args[5]));
    try (BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
      Map<Integer, Latency> latencies = new HashMap<>();
      for (String line = input.readLine(); line != null; line = input.readLine()) {
        String[] words = line.split(" ");
        switch (words[0]) {
          case "count" -> peer.count(Long.parseLong(words[1]));
          case "table" -> peer.table();
          case "latency" -> {
            int keys = Integer.parseInt(words[2]);
            int lingerMs = Integer.parseInt(words[3]);
            Latency latency =
                latencies.computeIfAbsent(lingerMs, each -> peer.latency(keys, each));
            for (int n = Integer.parseInt(words[1]); n > 0; n -= 1) {
              System.out.println(latency.once());
            }
          }
          default -> throw new IllegalArgumentException("no such command: " + line);
        }
        System.out.println("done");
      }
      for (Latency latency : latencies.values()) latency.close();
    }
    peer.count.close();
  }

  /** Prints when the first record was read and when all were committed, in milliseconds since 1970. */
  private void count(long records) throws Exception {
    count.committed(records);
    long committedAt = System.currentTimeMillis();
    System.out.println(count.firstAt() + " " + committedAt);
  }

  private void table() {
    Map<String, Long> counts = Changelog.read(settings.brokers(), count.changelog());
    StringBuilder text = new StringBuilder();
    counts.forEach((key, value) -> text.append(key).append(' ').append(value).append('\n'));
    System.out.print(text);
  }

  private Latency latency(int keys, int lingerMs) {
    return new Latency(settings, keys, lingerMs, count.store());
  }
}
